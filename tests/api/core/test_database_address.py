"""DATABASE_URL is read once: the engine, the listener and Alembic connect alike."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from api_service.config import Settings
from tests.support.app_client import OpenApp
from tests.support.migrations import alembic
from tests.support.postgres_tls import terminate_tls
from tests.support.tls_ends import issue_certificate, serving
from tests.support.waiting import until

LISTENING = (
    "SELECT application_name FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


def _with(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{options}"


async def _use_all(open_api: OpenApp, connection: asyncpg.Connection, url: str) -> str:
    """Write through the API, wait for its listener, and run Alembic; return the listener's name."""
    async with open_api(database_url=url) as client:
        answer = await client.post("/parse_async", json={"url": "https://a.example/"})
        assert answer.status_code == 202
        rows = await until(lambda: connection.fetch(LISTENING))
    migrated = alembic(url, "upgrade", "head")
    assert migrated.returncode == 0, migrated.stderr
    name: str = rows[0]["application_name"]
    return name


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("sslmode=disable", ""),
        ("sslmode=prefer", ""),
        ("ssl=disable", ""),
        ("ssl=prefer&connect_timeout=3", ""),
        ("application_name=mine", "mine"),
        ("fallback_application_name=other", "other"),
        ("options=-c%20application_name%3Dours", "ours"),
        ("prepared_statement_cache_size=0", ""),
        ("statement_cache_size=0&prepared_statement_cache_size=0", ""),
        ("target_session_attrs=read-write", ""),
    ],
)
async def test_each_client_understands_each_option(
    open_api: OpenApp,
    connection: asyncpg.Connection,
    database_url: str,
    options: str,
    name: str,
) -> None:
    assert await _use_all(open_api, connection, _with(database_url, options)) == name


async def test_a_socket_may_stand_where_the_host_does(
    open_api: OpenApp, connection: asyncpg.Connection, database_url: str
) -> None:
    parts = urlsplit(database_url)
    folder = parse_qs(parts.query)["host"][0].replace("/", "%2F")
    url = f"postgresql://postgres@{folder}{parts.path}"
    assert await _use_all(open_api, connection, url) == ""


@pytest.fixture
async def tls(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[str, Path, list[bytes]]]:
    """Provide a URL by TLS, its authority's file, and what was sent without TLS."""
    parts = urlsplit(database_url)
    socket = Path(parse_qs(parts.query)["host"][0]) / ".s.PGSQL.5432"
    context, bundle = issue_certificate(tmp_path)
    plain: list[bytes] = []
    with serving(terminate_tls(socket, context, plain), None) as port:
        yield f"postgresql://postgres:pass@127.0.0.1:{port}{parts.path}", bundle, plain


async def test_all_clients_verify_the_certificate(
    open_api: OpenApp,
    connection: asyncpg.Connection,
    tls: tuple[str, Path, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, bundle, plain = tls
    for options in ("sslmode=require", f"sslmode=verify-full&sslrootcert={bundle}"):
        await _use_all(open_api, connection, f"{url}?{options}")
    refused = alembic(f"{url}?ssl=true", "current")
    assert refused.returncode == 1
    assert refused.stderr.startswith("DATABASE_URL: ")
    assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr
    monkeypatch.setenv("DATABASE_CA_BUNDLE", str(bundle))
    assert alembic(url, "current").returncode == 0
    # The certificate names 127.0.0.1 only.
    assert alembic(url.replace("127.0.0.1", "localhost"), "current").returncode == 1
    assert plain == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:secret@h/d?sslmod=require", "the option sslmod is not known"),
        ("postgresql://u:secret@h/d?channel_binding=require", "channel_binding is not known"),
        ("postgresql://u:secret@h/d?sslmode=on", "sslmode must be one of disable,"),
        ("postgresql://u:secret@h/d?ssl=on", "ssl must be one of true,"),
        ("postgresql://u:secret@h/d?sslrootcert=/nowhere", "'/nowhere', which is not a file"),
        ("postgresql://u:secret@h/d?connect_timeout=soon", "must be a whole number"),
        ("postgresql://u:secret@h/d?sslrootcert=system&sslmode=require", "only be verify-full"),
        ("postgresql://u:secret@h:port/d", "the port must be 1-65535"),
        ("postgresql://u:secret@h/d?host=a,b&port=1,2,3", "1 hosts and 3 ports"),
        ("postgresql://u:sec#ret@h/d", "write %23"),
        ("postgresql://u:12/secret@h/d", "write %2F"),
        ("postgresql://u:12?secret=@h/d", "%3F"),
        ("postgresql://h/d/e", "write %2F"),
        ("mysql://u:secret@h/d", "not a PostgreSQL URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_at_start(
    url: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(SystemExit) as ended:
        Settings.load_or_exit()
    message = str(ended.value)
    assert message.startswith("DATABASE_URL: ")
    assert says in message
    assert "secret" not in message
    assert "ret@" not in message


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://h/d", ["h"], [5432]),
        ("postgresql://[::1]:2/d", ["::1"], [2]),
        ("postgresql://a:1,b:2/d", ["a", "b"], [1, 2]),
        ("postgresql+asyncpg:///d?host=a:1&host=b:2", ["a", "b"], [1, 2]),
        ("postgresql:///d?host=a,b&port=7", ["a", "b"], [7, 7]),
        ("postgresql:///d?host=/run/a&port=7", ["/run/a"], [7]),
        ("postgresql://%2Frun%2Fa/d", ["/run/a"], [5432]),
    ],
)
def test_hosts_are_read_as_libpq_and_sqlalchemy_write_them(
    url: str, hosts: list[str], ports: list[int]
) -> None:
    arguments = Settings(database_url=url).database_address.driver_arguments
    assert (arguments["host"], arguments["port"]) == (hosts, ports)
    assert arguments["database"] == "d"


def test_credentials_are_decoded_once_and_never_shown() -> None:
    address = Settings(database_url="postgres://a%40b:c%2525@h/d").database_address
    arguments = address.driver_arguments
    assert (arguments["user"], arguments["password"]) == ("a@b", "c%25")
    assert "c%" not in repr(address)
