"""Requests that are odd, too long or ambiguous are refused with a sentence that is true."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from api_service.edge.protocol import MAX_HEADER_BYTES
from tests.support.api_process import ApiProcess, running_api

URL = "https://a.example/"
BODY = json.dumps({"url": URL}).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[ApiProcess]:
    async with running_api(DATABASE_URL=database_url, REDIS_URL=redis_url) as started:
        yield started


async def _ask(api: ApiProcess, *pieces: bytes) -> tuple[int, dict[str, object]]:
    answer = b""
    async with api.connection() as (reader, writer):

        async def read() -> None:
            nonlocal answer
            with contextlib.suppress(ConnectionError):  # it closes although more is on its way
                while data := await reader.read(65536):
                    answer += data

        reading = asyncio.create_task(read())
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.05)
        await asyncio.wait_for(reading, 5)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


def _head(line: bytes = b"GET /health HTTP/1.1", more: bytes = b"") -> bytes:
    return line + b"\r\nHost: localhost\r\nConnection: close\r\n" + more + b"\r\n"


async def test_a_header_is_counted_however_it_arrives(api: ApiProcess) -> None:
    for size, status in ((MAX_HEADER_BYTES - 1000, 200), (MAX_HEADER_BYTES + 1000, 431)):
        a = b"a" * size
        for whole in (_head(more=b"X: %b\r\n" % a), _head(more=b"X: y\r\n" * (size // 3))):
            if whole.count(b"X: y") and size < MAX_HEADER_BYTES:
                continue
            assert (await _ask(api, whole))[0] == status
            assert (await _ask(api, whole[:100], whole[100:30_000], whole[30_000:]))[0] == status
    long_line = b"GET /health?%b HTTP/1.1" % (b"a" * 70_000)
    assert await _ask(api, _head(long_line)) == await _ask(
        api, _head(long_line)[:40_000], _head(long_line)[40_000:]
    )
    status, problem = await _ask(api, _head(long_line))
    assert (status, problem["code"]) == (431, "header_too_large")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"FOO /health HTTP/1.1", 501),
        (b"get /health HTTP/1.1", 501),
        (b"PROPFIND /health HTTP/1.1", 405),
        (b"\x16\x03\x01", 400),
        (b"FOO", 400),
        (b"GET /health HTTQ/1.1", 400),
    ],
)
async def test_only_what_is_not_http_is_said_to_be_not_http(
    api: ApiProcess, line: bytes, status: int
) -> None:
    found, problem = await _ask(api, _head(line))
    assert found == status
    assert (problem["detail"] == "This is not HTTP.") == (status == 400)


DEEP = b"[" * 30_000 + b"]" * 30_000


@pytest.mark.parametrize(
    ("headers", "body", "status", "words"),
    [
        ({}, b'{"url":%b}' % (b"9" * 60_000), 400, "digits"),
        ({}, b'{"url":%b}' % DEEP, 400, "within each other"),
        ({}, b'{"url":"\xff"}', 400, "UTF-8"),
        ({"Content-Encoding": "gzip"}, gzip.compress(BODY, mtime=0), 415, "Content-Encoding"),
        ({"Content-Encoding": "gzip"}, BODY, 415, "Content-Encoding"),
        ({"Content-Type": "application/json; charset=latin-1"}, BODY, 415, "UTF-8"),
        ({"Content-Type": 'application/json;charset="UTF-16"'}, BODY, 415, "UTF-8"),
    ],
)
async def test_a_body_that_cannot_be_read_says_why(
    client: httpx.AsyncClient, headers: Mapping[str, str], body: bytes, status: int, words: str
) -> None:
    response = await client.post("/parse_async", content=body, headers={**JSON, **headers})
    assert response.status_code == status
    assert words in response.json()["detail"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", 'application/json;charset="UTF8"']
)
async def test_utf8_may_be_named(client: httpx.AsyncClient, kind: str) -> None:
    headers = {"Content-Type": kind, "Content-Encoding": "identity"}
    response = await client.post("/parse_async", content=BODY, headers=headers)
    assert response.status_code == 202


async def test_what_is_given_twice_is_refused(client: httpx.AsyncClient) -> None:
    for path, name in (
        ("/parse_sync?url=https://a.example/&url=https://b.example/", "url"),
        ("/status/1?wait=1&wait=0", "wait"),
    ):
        response = await client.get(path)
        assert (response.status_code, response.json()["detail"]) == (
            422,
            f"{name} is given more than once; send it once.",
        )
    keys = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "a"),
        ("Idempotency-Key", "b"),
    ]
    response = await client.post("/parse_async", content=BODY, headers=keys)
    assert response.status_code == 422
    assert "Idempotency-Key is given more than once" in response.json()["detail"]
