"""What no library of clients sends, over a socket to a running API."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api_service.config import Settings
from api_service.edge.session_cookie import COOKIE_NAME
from tests.support.accounts import bearer
from tests.support.api_process import ApiProcess, running_api

ADMITTED = [
    b"GET /status/1 HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n",
    b"GET http://localhost/status/1 HTTP/1.1\r\nHost: localhost\r\n",
]
REFUSED = [
    b"GET /status/1 HTTP/1.1\r\nHost: evil.example\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: evil.example\r\nForwarded: host=localhost\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: localhost@evil.example\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: user@localhost\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: localhost.\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: localhost, evil.example\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost: localhost\xff\r\n",
    b"GET /status/1 HTTP/1.1\r\nHost:\r\n",
    b"GET /status/1 HTTP/1.1\r\nX: y\r\n",
    b"GET /status/1 HTTP/1.0\r\nX: y\r\n",
    b"GET http://evil.example/status/1 HTTP/1.1\r\nHost: localhost\r\n",
    b"GET http://localhost/status/1 HTTP/1.1\r\nHost: evil.example\r\n",
    b"GET http://localhost@evil.example/status/1 HTTP/1.1\r\nHost: localhost\r\n",
    b"GET HTTP://EVIL.example/status/1 HTTP/1.1\r\nHost: localhost\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n",
    b"GET status/1 HTTP/1.1\r\nHost: localhost\r\n",
]


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[ApiProcess]:
    servers = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    async with running_api(**servers) as started:
        yield started


async def _status(api: ApiProcess, head: bytes) -> int:
    async with api.connection() as (reader, writer):
        writer.write(head + b"Connection: close\r\n\r\n")
        answer = await reader.read()
    return int(answer.split(b" ", 2)[1])


async def test_a_host_that_can_be_read_in_two_ways_is_none(api: ApiProcess) -> None:
    for head in ADMITTED:
        assert await _status(api, head) == 404, head
    for head in REFUSED:
        assert await _status(api, head) in (400, 401), head


async def test_no_token_is_logged(settings: Settings, tmp_path: Path) -> None:
    log, told = tmp_path / "api.log", "a-token-for-prometheus"
    servers = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    chosen = {"METRICS_TOKEN": told, "LOG_LEVEL": "DEBUG"}
    async with running_api(log=str(log), **servers, **chosen) as api, api.client() as client:
        assert (await client.get("/metrics", headers=bearer(told))).status_code == 200
        for token in ("ppk_wrong_secret", "pps_dead_secret", told):
            for shown in (bearer(token), {"Cookie": f"{COOKIE_NAME}={token}"}):
                assert (await client.get("/status/1", headers=shown)).status_code == 401
    lines = log.read_text()
    assert lines.count('"request served"') >= 7
    assert not re.search(f"secret|{told}", lines)
