"""Who is admitted without an account: by the declared bind and by Host, exactly."""

import json
from typing import Any

import pytest

from api_service.config import Settings
from api_service.edge.anonymous import AnonymousAccess
from api_service.edge.request_host import TARGET_AUTHORITY_SCOPE_KEY
from tests.support.api_process import running_api


def _scope(*hosts: bytes, target: bytes | None = None, scheme: str = "http") -> dict[str, Any]:
    headers = [(b"host", host) for host in hosts]
    found: dict[str, Any] = {"type": "http", "scheme": scheme, "headers": headers}
    return found if target is None else found | {TARGET_AUTHORITY_SCOPE_KEY: target}


def _access(**settings: Any) -> AnonymousAccess:
    return AnonymousAccess.of(Settings(**settings))


@pytest.mark.parametrize(
    ("settings", "admitted"),
    [
        ({}, False),
        ({"api_host": "127.0.0.1"}, True),
        ({"api_host": "127.5.5.5"}, True),
        ({"api_host": "::1"}, True),
        ({"api_host": "[::1]"}, True),
        ({"api_host": "localhost"}, True),
        ({"api_bind": "127.0.0.1"}, True),
        ({"api_bind": "[::1]"}, True),
        ({"api_host": "0.0.0.0"}, False),
        ({"api_host": "::"}, False),
        ({"api_host": "192.0.2.1"}, False),
        ({"api_host": "127.0.0.1.example.org"}, False),
        ({"api_host": "localhost.example.org"}, False),
        ({"api_host": "127.1"}, False),
        ({"api_bind": "0.0.0.0"}, False),
        ({"api_host": "127.0.0.1", "api_bind": "0.0.0.0"}, False),
        ({"api_host": "0.0.0.0", "api_bind": "127.0.0.1"}, False),
        ({"auth": "required", "api_host": "127.0.0.1"}, False),
        ({"auth": "open"}, True),
        ({"auth": "open", "api_host": "0.0.0.0"}, True),
    ],
)
def test_the_declared_bind_and_the_mode_decide(settings: dict[str, Any], admitted: bool) -> None:
    access = _access(**settings)
    assert access.admits_anonymous(_scope(b"localhost:8000")) is admitted
    assert access.is_possible is admitted


@pytest.mark.parametrize(
    "host",
    [
        *(b"localhost", b"localhost:8000", b"LOCALHOST", b"LocalHost:1", b"127.0.0.1", b"[::1]"),
        *(b"[::1]:8000", b"[0:0:0:0:0:0:0:1]", b"api", b"api:8000", b"frontend", b"127.0.0.9:80"),
    ],
)
def test_names_of_the_list_are_admitted(host: bytes) -> None:
    assert _access(api_host="127.0.0.9").admits_anonymous(_scope(host))


HOSTILE = [
    *(b"evil.example", b"localhost.evil.example", b"evil-localhost", b"localhost2", b"local"),
    *(b"127.0.0.1.evil.example", b"127.0.0.10", b"127.0.0.1.", b"localhost.", b"localhost.:8000"),
    *(b"user@localhost", b"localhost@evil.example", b"localhost:8000@evil.example"),
    *(b"localhost:", b"localhost:x", b"localhost:80:80", b"localhost:999999", b":8000", b""),
    *(b"localhost,evil.example", b"localhost evil.example", b"localhost/evil", b"localhost#"),
    *(b"localhost\x00", b"localhost\t", b"loc%61lhost", b"http://localhost", b"l\xf6calhost"),
    *(b"[::1", b"::1", b"[::1]evil", b"[::1%25lo]", b"[::2]", b"[::ffff:127.0.0.1]", b"[]"),
    *(b"[localhost]", b"127.1", b"2130706433", b"0x7f.0.0.1", b"0.0.0.0", b"-", b"_"),
    *(b"apis", b"api.evil.example", b"xapi", b"frontends"),
]


@pytest.mark.parametrize("host", HOSTILE)
def test_no_other_host_is_admitted(host: bytes) -> None:
    assert not _access(api_host="127.0.0.1").admits_anonymous(_scope(host))


@pytest.mark.parametrize(
    "scope",
    [
        _scope(),
        _scope(b"localhost", b"localhost"),
        _scope(b"localhost", b"evil.example"),
        _scope(b"evil.example", b"localhost"),
        _scope(b"localhost", target=b"evil.example"),
        _scope(b"localhost", target=b"user@localhost"),
        _scope(b"localhost", target=b""),
        _scope(b"evil.example", target=b"localhost"),
    ],
)
def test_a_request_names_one_host_once(scope: dict[str, Any]) -> None:
    assert not _access(api_host="127.0.0.1").admits_anonymous(scope)


def test_a_target_that_names_the_host_again_is_no_other_host() -> None:
    scope = _scope(b"localhost:8000", target=b"LOCALHOST:8000")
    assert _access(api_host="127.0.0.1").admits_anonymous(scope)


def test_the_list_of_hosts_is_replaced_and_the_bind_stays_in_it() -> None:
    access = _access(api_bind="[::1]", allowed_hosts="Parser.Example.org, 192.0.2.7")
    for host in (b"parser.example.org", b"192.0.2.7:80", b"[::1]:8000"):
        assert access.admits_anonymous(_scope(host))
    assert not access.admits_anonymous(_scope(b"localhost"))


def test_open_asks_for_a_host_only_if_hosts_were_named() -> None:
    assert _access(auth="open").admits_anonymous(_scope(b"evil.example"))
    assert _access(auth="open").admits_anonymous(_scope())
    named = _access(auth="open", allowed_hosts="parser.example.org")
    assert named.admits_anonymous(_scope(b"parser.example.org"))
    assert not named.admits_anonymous(_scope(b"evil.example"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["are refused", "neither API_HOST nor API_BIND", "API_HOST=127.0.0.1", "AUTH=open"]),
        ({"api_host": "0.0.0.0"}, ["are refused", "API_HOST is 0.0.0.0", "AUTH=open"]),
        ({"api_bind": "192.0.2.1"}, ["are refused", "API_BIND is 192.0.2.1", "AUTH=open"]),
        ({"api_host": "::1"}, ["are admitted", "API_HOST is ::1", "AUTH=required"]),
        ({"auth": "open", "api_host": "::"}, ["are admitted", "AUTH is open"]),
        ({"auth": "required"}, ["are refused", "AUTH is required"]),
    ],
)
def test_one_sentence_says_why_and_what_to_set(settings: dict[str, Any], words: list[str]) -> None:
    sentence = _access(**settings).explain()
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("environment", "status", "level"),
    [
        ({"API_HOST": "0.0.0.0"}, 401, "warning"),
        ({"API_HOST": "", "API_BIND": ""}, 401, "warning"),
        ({"API_HOST": "", "API_BIND": "0.0.0.0"}, 401, "warning"),
        ({"API_HOST": "", "API_BIND": "127.0.0.1"}, 404, "info"),
        ({"API_HOST": "0.0.0.0", "AUTH": "open"}, 404, "warning"),
        ({"AUTH": "required"}, 401, "info"),
    ],
)
async def test_a_started_api_logs_the_sentence_and_keeps_to_it(
    settings: Settings, tmp_path: Any, environment: dict[str, str], status: int, level: str
) -> None:
    servers = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    log = tmp_path / "api.log"
    async with running_api(log=str(log), **servers, **environment) as api, api.client() as client:
        assert (await client.get("/status/1")).status_code == status
        for path in ("/health", "/docs", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/ready")).status_code in (200, 503)
        for path in ("/metrics", "/nowhere", "/status"):
            assert ((await client.get(path)).status_code == 401) == (status == 401), path
    lines = map(json.loads, log.read_text().splitlines())
    [line] = [line for line in lines if line["event"].startswith("Callers without an account")]
    assert line["level"] == level
