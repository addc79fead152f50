"""Clients that send or read slowly, on a real server: who gets nowhere is cut off."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from time import monotonic

import asyncpg
import pytest

from tests.support.api_process import ApiProcess, running_api
from tests.support.site import Site

LIMIT_SECONDS = 1.0
CUT_SECONDS = 4.0
"""Within which the API must have cut off a client: its limit, a look, and a slow machine."""
PAGE_BYTES = 10 * 1024 * 1024
CLIENTS = 40
MAX_GROWTH = 100 * 1024 * 1024

POST = b"POST /parse_async HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
GET_HEALTH = b"GET /health HTTP/1.1\r\nHost: api\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
StartApi = Callable[..., contextlib.AbstractAsyncContextManager[ApiProcess]]


@pytest.fixture
def start_api(database_url: str, redis_url: str, site: Site) -> StartApi:
    """Start an API with short limits, some of them changed by keyword."""

    def start(**changes: str) -> contextlib.AbstractAsyncContextManager[ApiProcess]:
        environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PARSER_URL": site.url("").rstrip("/"),
            "REQUEST_HEADER_TIMEOUT": str(LIMIT_SECONDS),
            "REQUEST_BODY_TIMEOUT": str(LIMIT_SECONDS),
            "RESPONSE_TIMEOUT": str(LIMIT_SECONDS),
        }
        return running_api(**environment | changes)

    return start


@pytest.fixture
async def api(start_api: StartApi) -> AsyncIterator[ApiProcess]:
    async with start_api() as started:
        yield started


async def _until_cut(connection: Connection, start: bytes, drop: bytes) -> bytes:
    """Send a start and then a drop every 50 ms, until the server closes; return its answer."""
    reader, writer = connection
    answer = b""

    async def read() -> None:
        nonlocal answer
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                answer += data

    reading = asyncio.create_task(read())
    writer.write(start)
    end = monotonic() + CUT_SECONDS
    while not reading.done():
        assert monotonic() < end, f"still open; answered {answer!r}"
        if drop:
            writer.write(drop)
        await asyncio.sleep(0.05)
    return answer


@pytest.mark.parametrize(
    ("start", "drop", "status"),
    [
        (b"", b"", b""),
        (b"GE", b"", b"408"),
        (b"GET /", b"h", b"408"),
        (b"", b"\r\n", b"408"),
        (b"GET /health HTTP/1.1\r\n", b"a: b\r\n", b"408"),
        (b"GET /health HTTP/1.1\r\na: ", b"b", b"408"),
        (GET_HEALTH, b"G", b"200"),
        (GET_HEALTH, b"\r\n", b"200"),
        (POST + b"Content-Length: 60000\r\n\r\n", b"x", b"408"),
        (POST + b"Content-Length: 60000\r\n\r\n", b"", b"408"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", b"408"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n", b"408"),
        (POST.replace(b"POST", b"GET") + b"Content-Length: 60000\r\n\r\n", b"x", b"405"),
        (GET_HEALTH[:-2] + b"Content-Length: 60000\r\n\r\n", b"x", b"200"),
        (b"GET /health HTTP/1.1\r\n", b"a: %b\r\n" % (b"b" * 20_000), b"431"),
    ],
)
async def test_who_sends_too_slowly_is_cut_off(
    api: ApiProcess, start: bytes, drop: bytes, status: bytes
) -> None:
    async with api.connection() as connection:
        answer = await _until_cut(connection, start, drop)
    assert answer.partition(b"\r\n")[0][9:12] == status
    if status == b"408":
        head, _, body = answer.lower().partition(b"\r\n\r\n")
        assert b"x-request-id: " in head
        assert b"connection: close" in head
        assert json.loads(body)["status"] == 408


async def test_a_slow_body_that_keeps_the_least_rate_is_read(start_api: StartApi) -> None:
    body = json.dumps({"url": "http://a.example/", "pad": "x" * 4000}).encode()
    async with start_api(LEAST_RATE="200") as api, api.connection() as (reader, writer):
        writer.write(POST + b"Content-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 100):
            writer.write(body[start : start + 100])
            await asyncio.sleep(0.06)
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")


async def test_a_fast_start_is_no_credit_for_a_slow_rest(api: ApiProcess) -> None:
    async with api.connection() as connection:
        start = POST + b"Content-Length: 60000\r\n\r\n" + b"x" * 50_000
        assert b" 408 " in await _until_cut(connection, start, b"x")


async def test_what_is_not_http_is_a_problem(api: ApiProcess) -> None:
    async with api.connection() as (reader, writer):
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


async def test_long_polls_and_kept_connections_are_left_alone(
    api: ApiProcess, connection: asyncpg.Connection
) -> None:
    row = "INSERT INTO parse_requests (url) VALUES ('http://a.example/') RETURNING id"
    request_id = await connection.fetchval(row)
    async with api.client() as client:
        started = monotonic()
        poll = await client.get(f"/result/{request_id}", params={"wait": 3 * LIMIT_SECONDS})
        assert poll.status_code == 200
        assert monotonic() - started >= 3 * LIMIT_SECONDS
    async with api.connection() as (reader, writer):
        for _ in range(3):
            writer.write(GET_HEALTH)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"}")
            await asyncio.sleep(1.5 * LIMIT_SECONDS)


async def test_requests_that_wait_for_a_long_poll_on_the_same_connection_are_answered(
    api: ApiProcess, connection: asyncpg.Connection
) -> None:
    row = "INSERT INTO parse_requests (url) VALUES ('http://a.example/') RETURNING id"
    request_id = await connection.fetchval(row)
    poll = f"GET /status/{request_id}?wait=3 HTTP/1.1\r\nHost: api\r\n\r\n".encode()
    async with api.connection() as (reader, writer):
        writer.write(poll + GET_HEALTH + GET_HEALTH[:20])
        await asyncio.sleep(2 * LIMIT_SECONDS)
        writer.write(GET_HEALTH[20:])
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 3:
            data = await asyncio.wait_for(reader.read(65536), 5)
            assert data
            answers += data


async def _add_page(connection: asyncpg.Connection, size: int) -> int:
    request_id: int = await connection.fetchval(
        "INSERT INTO parse_requests (url, status, title, html_content, facts)"
        " VALUES ('http://a.example/', 'success', 't', $1, '{}') RETURNING id",
        ('<p class="x">' * (size // 13 + 1))[:size],
    )
    return request_id


def _offer_page(site: Site, size: int) -> None:
    """Let the site answer `GET /fetch` as our parser does."""
    answer = json.dumps({"url": "http://a.example/", "title": "t", "html": "x" * size}).encode()
    path = "/fetch?url=http%3A%2F%2Fa.example%2F"
    headers = {"Content-Type": "application/vnd.page-parser.answer+json"}
    site.respond(path, 200, answer, headers)


PARSE_SYNC = "/parse_sync?url=http%3A%2F%2Fa.example%2F"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["result", "parse_sync"])
async def test_clients_that_read_nothing_cost_little_memory_and_are_cut_off(
    start_api: StartApi, connection: asyncpg.Connection, site: Site, kind: str
) -> None:
    path = f"/result/{await _add_page(connection, PAGE_BYTES)}" if kind == "result" else PARSE_SYNC
    small = f"/result/{await _add_page(connection, 100_000)}"
    _offer_page(site, PAGE_BYTES)
    async with contextlib.AsyncExitStack() as stack, start_api(RESPONSE_TIMEOUT="5") as api:
        client = await stack.enter_async_context(api.client())
        assert (await client.get(small)).status_code == 200
        before = api.memory()
        readers = []
        for _ in range(CLIENTS):
            reader, writer = await stack.enter_async_context(api.connection(receive_buffer=4096))
            writer.write(f"GET {path} HTTP/1.1\r\nHost: api\r\n\r\n".encode())
            readers.append(reader)
        most = 0
        end = monotonic() + 5.5
        while monotonic() < end:
            most = max(most, api.memory())
            assert (await client.get("/health")).status_code == 200
            await asyncio.sleep(0.05)
        print(f"{kind}: API +{(most - before) / 2**20:.0f} MB")
        assert most - before < MAX_GROWTH
        assert (await client.get(small)).status_code == 200
        await asyncio.sleep(8)  # a period with progress, one without, and a look
        heads = [await reader.readuntil(b"\r\n\r\n") for reader in readers]
        refused = [head for head in heads if b" 503 " in head.partition(b"\r\n")[0]]
        assert all(b"retry-after: " in head.lower() for head in refused)
        assert 0 < len(refused) < CLIENTS
        for reader, head in zip(readers, heads, strict=True):
            if head not in refused:
                rest = await asyncio.wait_for(_read_all(reader), 10)
                assert rest < PAGE_BYTES, "whoever reads nothing is cut off"
        answer = await client.get(path)
        assert (answer.status_code, len(answer.json()["html"])) == (200, PAGE_BYTES)


async def _read_all(reader: asyncio.StreamReader) -> int:
    size = 0
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            size += len(data)
    return size


async def test_clients_that_read_at_once_all_get_their_large_page(
    start_api: StartApi, connection: asyncpg.Connection
) -> None:
    path = f"/result/{await _add_page(connection, PAGE_BYTES)}"
    async with start_api() as api, api.client() as client:
        answers = await asyncio.gather(*(client.get(path) for _ in range(10)))
    assert {(a.status_code, len(a.json()["html"])) for a in answers} == {(200, PAGE_BYTES)}


async def test_a_slow_reader_that_goes_on_reading_gets_the_whole_answer(
    start_api: StartApi, connection: asyncpg.Connection
) -> None:
    path = f"/result/{await _add_page(connection, PAGE_BYTES)}"
    async with start_api(LEAST_RATE="100000") as api, api.connection(receive_buffer=65536) as pair:
        reader, writer = pair
        writer.write(f"GET {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        started = monotonic()
        got = 0
        while data := await reader.read(40_000):
            got += len(data)
            # 2 MB a second: five times as long as the limit for the whole answer.
            await asyncio.sleep(max(0, started + got / 2_000_000 - monotonic()))
        assert got == size
        assert monotonic() - started > 4 * LIMIT_SECONDS
