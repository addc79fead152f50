"""What a parser answers to `GET /fetch` is bounded before it is read."""

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from api_service.edge.answer_memory import GROWTH_BYTES, AnswerMemory, HeldAnswer
from api_service.edge.exceptions import AnswerMemoryFullError
from api_service.parser_client import http as http_module
from api_service.parser_client.exceptions import (
    InvalidUrlError,
    PageError,
    ParserBusyError,
    ParserUnavailableError,
)
from api_service.parser_client.http import PARSE_SYNC_MEDIA_TYPE, ParserHttp
from api_service.parser_client.messages import read_fetch_answer, read_result
from tests.support.site import Site

URL = "https://a.example/"
PATH = f"/fetch?url={quote(URL, safe='')}"
LIMIT = 1024 * 1024
BUFFERS = 16 * 1024 * 1024
"""Bytes that kernels and streams may hold on their way."""
MANY = 200_000_000


@pytest.fixture
async def parser(site: Site) -> AsyncIterator[ParserHttp]:
    opened = ParserHttp(site.url("").rstrip("/"), timeout=20, largest=LIMIT)
    yield opened
    await opened.close()


async def _fetch(parser: ParserHttp, memory: AnswerMemory | None = None) -> HeldAnswer:
    return await parser.fetch(URL, None, {}, memory=memory or AnswerMemory(16 * LIMIT, timeout=0.2))


def _stream(site: Site, status: int, kind: str = "application/json") -> list[int]:
    """Answer with very many bytes and no length; return a list whose sum tells how many went."""
    sent: list[int] = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f'HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n\r\n{{"title":"'.encode())
        while sum(sent) < MANY:
            writer.write(b"a" * 1_000_000)
            await writer.drain()
            sent.append(1_000_000)

    site.answer(PATH, answer)
    return sent


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, ParserUnavailableError),
        (500, ParserUnavailableError),
        (502, ParserUnavailableError),
        (503, ParserBusyError),
        (422, InvalidUrlError),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", PARSE_SYNC_MEDIA_TYPE])
async def test_an_endless_answer_is_not_read_on(
    parser: ParserHttp, site: Site, status: int, kind: str, error: type[Exception]
) -> None:
    sent = _stream(site, status, kind)
    with pytest.raises(error):
        await _fetch(parser)
    assert sum(sent) < LIMIT + BUFFERS


async def test_an_answer_with_a_length_above_the_limit_is_not_read(
    parser: ParserHttp, site: Site
) -> None:
    site.raw(PATH, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{" % (LIMIT + 1))
    with pytest.raises(ParserUnavailableError):
        await _fetch(parser)


async def test_nothing_is_inflated(parser: ParserHttp, site: Site) -> None:
    body = gzip.compress(json.dumps({"url": URL, "title": "A", "html": ""}).encode())
    site.respond(PATH, 200, body, {"Content-Encoding": "gzip"})
    with pytest.raises(ParserUnavailableError):
        await _fetch(parser)
    assert "accept-encoding: identity" in site.requests[0].lower()


async def test_an_answer_without_a_length_has_room_before_it_is_read(
    parser: ParserHttp, site: Site
) -> None:
    body = json.dumps({"url": URL, "title": "A", "html": "x" * (LIMIT // 2)}).encode()
    site.raw(PATH, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
    memory = AnswerMemory(2 * GROWTH_BYTES, timeout=0.2)

    async def fill() -> bytes:
        return b"x" * (2 * GROWTH_BYTES)

    first = await memory.wait_and_make(2 * GROWTH_BYTES, fill, one_at_a_time=False)
    with pytest.raises(AnswerMemoryFullError):
        await _fetch(parser, memory)
    first.drop()
    held = await _fetch(parser, memory)
    assert json.loads(b"".join(held.take_pieces()))["title"] == "A"
    (await memory.wait_and_make(2 * GROWTH_BYTES, fill, one_at_a_time=False)).drop()


async def test_a_large_answer_of_a_foreign_parser_is_read_off_the_loop(
    parser: ParserHttp, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def read(body: bytes) -> object:
        threads.append(threading.current_thread())
        return read_fetch_answer(body)

    monkeypatch.setattr(http_module, "read_fetch_answer", read)
    for length in (10, LIMIT // 2):
        body = json.dumps({"url": URL, "title": "A", "html": "x" * length}).encode()
        site.respond(PATH, 200, body, {})
        await _fetch(parser)
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


@pytest.mark.parametrize("piece", [b"[],", b"{},", b"1,", b'"",'])
def test_json_of_very_many_values_is_refused_before_it_is_read(piece: bytes) -> None:
    members = b'"url":"u","title":"A","html":"h","more":['
    many = members + piece * 1_100_000 + b"1]}"
    with pytest.raises(ValueError, match="too many values"):
        read_fetch_answer(b"{" + many)
    assert read_result(b'{"status":"success",' + many).status == "failure"


def test_a_page_may_have_any_number_of_commas_and_brackets() -> None:
    html = "{[, \\" * 400_000
    text = json.dumps({"status": "success", "title": "A", "html": html, "url": "u"})
    assert read_fetch_answer(text.encode()).html == html
    assert read_result(text.encode()).status == "success"


async def test_the_reason_of_a_502_is_kept_whatever_its_characters(
    parser: ParserHttp, site: Site
) -> None:
    body = b'{"detail":"d\\ud800\\u0000","code":"x_y","retryable":true,"page_status":99999}'
    site.respond(PATH, 502, body, {})
    with pytest.raises(PageError) as raised:
        await _fetch(parser)
    found = raised.value
    assert (found.message, found.code, found.retryable) == ("d\ufffd\ufffd", "x_y", True)
    assert found.page_status is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{}", "The parser does not accept this URL."),
        (b"", "The parser does not accept this URL."),
        (
            b'{"detail":"d","code":"invalid_url"}',
            "This is not an http or https URL that can be fetched.",
        ),
    ],
)
async def test_a_422_says_no_more_than_the_parser_did(
    parser: ParserHttp, site: Site, body: bytes, sentence: str
) -> None:
    site.respond(PATH, 422, body, {})
    with pytest.raises(InvalidUrlError) as raised:
        await _fetch(parser)
    assert raised.value.message == sentence
