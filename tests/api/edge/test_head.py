"""HEAD is GET without a body, on a real server and wherever GET works."""

from collections.abc import AsyncIterator

import pytest

from api_service.main import create_app
from tests.support.api_process import ApiProcess, running_api
from tests.support.site import Site

VOLATILE = ("date", "x-request-id", "content-length")
"""Headers that differ from answer to answer; some bodies hold times and counts."""


@pytest.fixture
async def api(database_url: str, redis_url: str, site: Site) -> AsyncIterator[ApiProcess]:
    addresses = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    async with running_api(**addresses, PARSER_URL=site.url("").rstrip("/")) as started:
        yield started


async def _head(api: ApiProcess, path: str) -> bytes:
    """Return all that the server sends, until it closes the connection."""
    async with api.connection() as (reader, writer):
        request = f"HEAD {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        return await reader.read()


async def test_head_has_the_headers_of_get_and_no_body(api: ApiProcess) -> None:
    paths = [path for path, taken in create_app().openapi()["paths"].items() if "get" in taken]
    assert "/status/{request_id}" in paths
    paths += ["/status/abc", "/metrics", "/docs", "/openapi.json", "/nowhere", "/parse_async"]
    async with api.client() as client:
        for path in paths:
            known = path.replace("{request_id}", "1")
            got = await client.get(known)
            head, _, body = (await _head(api, known)).decode().partition("\r\n\r\n")
            first, *lines = head.split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            assert body == "", path
            assert first.split()[1] == str(got.status_code), path
            assert got.content, path
            assert int(headers["content-length"]) > 0
            for name, value in got.headers.items():
                assert name in headers, path
                assert name in VOLATILE or headers[name] == value, path


async def test_head_keeps_the_connection_in_step(api: ApiProcess) -> None:
    """A body after HEAD would be read as the next answer."""
    async with api.client() as client:
        for _ in range(3):
            head, got = await client.head("/health"), await client.get("/health")
            assert (head.status_code, head.content) == (200, b"")
            assert got.json() == {"status": "ok"}
            assert head.headers["content-length"] == got.headers["content-length"]
