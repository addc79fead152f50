"""REDIS_URL is read once: redis-py and Celery's transport connect alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as blocking_redis
from kombu.exceptions import OperationalError

from api_service.celery_app import API_QUEUE, broker_options, celery_app
from api_service.config import Settings
from api_service.process.redis_connection import open_redis
from api_service.queueing.enqueue import TaskSender
from api_service.redis_address import parse_redis_url
from local.valkey import Valkey
from tests.support.tls_ends import forward_to, issue_certificate, serving


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"), durable=False, password="its:/@#%")
    server.start()
    yield server
    server.stop()


def _credentials() -> str:
    return ":its%3A%2F%40%23%25"


async def _use_both(settings: Settings) -> None:
    """Ask Redis through redis-py, and publish through kombu."""
    async with open_redis(settings.redis_address, timeout=3) as client:
        await client.set("seen", "by redis-py")
    sender = TaskSender(celery_app, timeout=3, broker_options=broker_options(settings))
    try:
        sender.send("a.task", queue=API_QUEUE)
    finally:
        sender.disconnect()


def _seen_in(valkey: Valkey, number: int) -> set[str]:
    with blocking_redis.Redis(
        port=valkey.port, db=number, password="its:/@#%", decode_responses=True
    ) as client:
        seen = {key for key in client.scan_iter() if not key.startswith("_kombu")}
        client.flushdb()
    return seen


@pytest.mark.parametrize(
    ("end", "number"),
    [("", 0), ("/", 0), ("/3", 3), ("?db=2", 2), ("/4?health_check_interval=30&client_name=a", 4)],
)
async def test_both_clients_use_the_same_database(valkey: Valkey, end: str, number: int) -> None:
    url = f"redis://{_credentials()}@127.0.0.1:{valkey.port}{end}"
    await _use_both(Settings(redis_url=url))
    assert _seen_in(valkey, number) == {"seen", API_QUEUE}


async def test_both_clients_use_a_unix_socket(valkey: Valkey, tmp_path: Path) -> None:
    path = str(tmp_path / "a socket")
    with serving(forward_to(valkey.port), None, path=path):
        url = f"unix://{_credentials()}@{path.replace(' ', '%20')}?db=5"
        await _use_both(Settings(redis_url=url))
    assert _seen_in(valkey, 5) == {"seen", API_QUEUE}


async def test_both_clients_verify_the_certificate(valkey: Valkey, tmp_path: Path) -> None:
    context, bundle = issue_certificate(tmp_path)
    with serving(forward_to(valkey.port), context) as port:
        url = f"rediss://{_credentials()}@127.0.0.1:{port}/6"
        unknown = Settings(redis_url=url)
        async with open_redis(unknown.redis_address, timeout=3) as client:
            with pytest.raises(blocking_redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.ping()
        sender = TaskSender(celery_app, timeout=3, broker_options=broker_options(unknown))
        with pytest.raises(OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
            sender.send("a.task", queue=API_QUEUE)
        assert _seen_in(valkey, 6) == set()
        await _use_both(Settings(redis_url=url, redis_ca_bundle=bundle))
        await _use_both(Settings(redis_url=f"{url}?ssl_ca_certs={bundle}"))
        await _use_both(Settings(redis_url=f"{url}?ssl_cert_reqs=none"))
        # The certificate names another address than this one.
        other = parse_redis_url(url.replace("127.0.0.1", "localhost"), bundle)
        async with open_redis(other, timeout=3) as client:
            with pytest.raises(blocking_redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.ping()
    assert _seen_in(valkey, 6) == {"seen", API_QUEUE}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://:secret@host/abc", "'/abc' is not the number of a database"),
        ("redis://:secret@host/1x", "'/1x' is not the number of a database"),
        ("redis://:secret@host/1?db=2", "the path says database 1, and db=2 another"),
        ("redis://:secret@host?db=x", "the option db cannot be 'x'"),
        ("redis://:secret@host?socket_timeout=1", "the option socket_timeout is not known"),
        ("redis://:secret@host?ssl_cert_reqs=none", "the option ssl_cert_reqs needs TLS"),
        ("rediss://:secret@host?ssl_cert_reqs=maybe", "ssl_cert_reqs cannot be 'maybe'"),
        ("rediss://:secret@host?ssl_ca_certs=/nowhere", "ssl_ca_certs cannot be '/nowhere'"),
        ("redis://:secret@host:port/0", "host and port cannot be read"),
        ("redis://:secret#@host/0", "%23"),
        ("redis://h/0#secret", "write %23"),
        ("redis://:1234/secret@host/0", "%2F"),
        ("redis://:1234?secret=@host/0", "%3F"),
        ("unix://", "a socket's path is missing"),
        ("unix://run/redis.sock", "a socket's path is missing"),
        ("http://:secret@host/0", "not a Redis URL"),
        ("rediss:host", "not a Redis URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_at_start(
    url: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(SystemExit) as ended:
        Settings.load_or_exit()
    message = str(ended.value)
    assert message.startswith("REDIS_URL: ")
    assert says in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:pass@[::1]", "redis://[::1]:6379/0"),
        ("rediss://:p@host:1/2", "rediss://host:1/2"),
        ("unix:///run/r.sock", "unix:///run/r.sock"),
    ],
)
def test_an_address_is_shown_without_credentials(url: str, shown: str) -> None:
    address = parse_redis_url(url)
    assert address.shown == shown
    assert "pass" not in repr(address)


def _options(url: str) -> dict[str, Any]:
    return dict(parse_redis_url(url).options)


def test_credentials_are_decoded_once() -> None:
    options = _options("redis://a%40b:c%2525@host")
    assert (options["username"], options["password"]) == ("a@b", "c%25")
