"""Sites that hang, bloat or lie: each ends in a declared code, in time, and with flat memory."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from time import perf_counter

import psutil
import pytest

from parser_service.config import MIB, Settings
from parser_service.dependencies import open_pipeline
from parser_service.exceptions import FetchError
from tests.support.pages import Pages
from tests.support.site import HTML, Site

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
DEADLINE = 1.0


@pytest.fixture
async def pages(settings: Settings) -> AsyncIterator[Pages]:
    async with open_pipeline(settings.model_copy(update={"fetch_timeout": DEADLINE})) as opened:
        yield Pages(opened)


@pytest.fixture
async def patient_pages(settings: Settings) -> AsyncIterator[Pages]:
    """Wait for pages that take long to parse on a busy machine."""
    async with open_pipeline(settings.model_copy(update={"fetch_timeout": 20})) as opened:
        yield Pages(opened)


async def _code(pages: Pages, url: str) -> str:
    try:
        await pages.get(url)
    except FetchError as error:
        return error.code
    return "success"


def _repeat(site: Site, start: bytes, again: bytes, *, pause: float) -> str:
    """A site that says something and then the same thing for ever."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(pause)

    return site.answer("/", answer)


@pytest.mark.parametrize(
    ("start", "again", "pause"),
    [
        pytest.param(b"", b"", 0.1, id="never answers"),
        pytest.param(b"H", b"", 0.1, id="stops in the status line"),
        pytest.param(HEAD, b"X", 0.05, id="drips a header"),
        pytest.param(HEAD + b"\r\n<p>", b"x", 0.05, id="drips a body"),
        pytest.param(HEAD + b"Content-Length: 1000\r\n\r\n<p>", b"", 0.1, id="stops in the body"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.05, id="drips chunks"
        ),
    ],
)
async def test_a_site_that_hangs_meets_the_deadline(
    pages: Pages, site: Site, start: bytes, again: bytes, pause: float
) -> None:
    url = _repeat(site, start, again, pause=pause)
    started = perf_counter()
    assert await _code(pages, url) == "timeout"
    assert perf_counter() - started < DEADLINE + 0.5


@pytest.mark.parametrize(
    ("start", "again", "code"),
    [
        pytest.param(HEAD, b"X: y\r\n" * 1000, "malformed_response", id="endless headers"),
        pytest.param(HEAD + b"X: ", b"y" * 100_000, "too_large", id="an endless header"),
        pytest.param(HEAD + b"\r\n", bytes(100_000), "too_large", id="an endless body"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
            b"%x\r\n%s\r\n" % (100_000, bytes(100_000)),
            "too_large",
            id="endless chunks",
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;",
            b"x" * 100_000,
            "timeout",
            id="an endless chunk extension",
        ),
        pytest.param(
            b"HTTP/1.1 302 X\r\nLocation: /end\r\n\r\n",
            bytes(100_000),
            "success",
            id="an endless redirect",
        ),
        pytest.param(
            b"HTTP/1.1 404 X\r\n\r\n", bytes(100_000), "http_status", id="an endless error page"
        ),
        pytest.param(
            b"HTTP/1.1 200 X\r\nContent-Type: image/png\r\n\r\n",
            bytes(100_000),
            "unsupported_content_type",
            id="an endless picture",
        ),
    ],
)
async def test_a_site_that_never_ends_is_cut_off_with_flat_memory(
    pages: Pages, site: Site, start: bytes, again: bytes, code: str
) -> None:
    site.page("/end", "<title>A</title>")
    url = _repeat(site, start, again, pause=0)
    process = psutil.Process()
    before = process.memory_info().rss
    outcome = await _code(pages, url)
    assert outcome in (code, "too_large", "malformed_response"), outcome
    assert process.memory_info().rss - before < 50 * MIB


def _deflated(size: int, *, wbits: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=wbits)
    return (
        b"".join(compressor.compress(bytes(MIB)) for _ in range(size // MIB)) + compressor.flush()
    )


@pytest.mark.parametrize(
    ("encoding", "body", "code"),
    [
        ("gzip", lambda: _deflated(1024 * MIB, wbits=31), "too_large"),
        ("deflate", lambda: _deflated(256 * MIB, wbits=15), "too_large"),
        ("gzip", lambda: gzip.compress(_deflated(64 * MIB, wbits=31)), "success"),
        ("gzip, gzip", lambda: gzip.compress(gzip.compress(b"x")), "bad_encoding"),
        ("br", lambda: b"\x1b\xff\xff", "bad_encoding"),
        ("zstd", lambda: b"\x28\xb5\x2f\xfd", "bad_encoding"),
        (",".join(["gzip"] * 1000), lambda: gzip.compress(b"x"), "bad_encoding"),
        ("gzip", lambda: b"not gzip", "bad_encoding"),
    ],
)
async def test_a_bomb_does_not_go_off(
    patient_pages: Pages, site: Site, encoding: str, body: object, code: str
) -> None:
    assert callable(body)
    url = site.respond("/", 200, body(), HTML | {"Content-Encoding": encoding})
    in_redirect = site.respond(
        "/redirect", 302, body(), {"Location": "/good", "Content-Encoding": encoding}
    )
    site.page("/good", "<title>good</title>")
    process = psutil.Process()
    before = process.memory_info().rss
    started = perf_counter()
    assert await _code(patient_pages, url) == code
    assert (await patient_pages.get(in_redirect)).title == "good"
    assert perf_counter() - started < 15
    assert process.memory_info().rss - before < 50 * MIB


@pytest.mark.slow
async def test_many_big_pages_at_once_stay_within_bounds(settings: Settings, site: Site) -> None:
    page = b"<title>big</title>" + b"<p>text</p>" * 700_000
    url = site.page("/", page)
    process = psutil.Process()
    before = process.memory_info().rss
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    async with open_pipeline(settings.model_copy(update={"fetch_timeout": 60})) as handler:
        pages = Pages(handler)

        async def size() -> int:
            return len((await pages.get(url)).html)

        sizes = await asyncio.gather(*(size() for _ in range(12)))
    watching.cancel()
    assert set(sizes) == {len(page)}
    # The site of the test, in this same process, holds a copy of its own for each request.
    assert peak - before < 12 * len(page) + 250 * MIB


async def test_a_page_that_lies_about_its_length(pages: Pages, site: Site) -> None:
    url = site.raw("/", HEAD + b"Content-Length: 99999999999999999999\r\n\r\n<title>A</title>")
    assert await _code(pages, url) in ("too_large", "malformed_response")


@pytest.mark.parametrize(
    ("body", "title"),
    [
        (b"<title>a\0b&#0;c&#xD800;d&#xFFFF;</title>", "a\ufffdb\ufffdc\ufffdd\uffff"),
        (b"<title>" + b"x" * 1_000_000 + b"</title>", "x" * 1000),
        ("<title>\u202eabc\u200f</title>".encode(), "\u202eabc\u200f"),
        ("<title>A\ud800</title>".encode("utf-16-le", "surrogatepass"), None),
        (b"%PDF-1.7 \xff\xfe\x00", ""),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ""),
        (b"", ""),
        (b"<title>" + b"<b>" * 1_600_000, "<b>" * 333 + "<"),
    ],
)
async def test_strange_pages_have_storable_titles(
    patient_pages: Pages, site: Site, body: bytes, title: str | None
) -> None:
    page = await patient_pages.get(
        site.respond("/", 200, body, {"Content-Type": "text/html; charset=utf-8"})
    )
    if title is not None:
        assert page.title == title
    for text in (page.title, page.html):
        assert "\0" not in text
        text.encode()


async def test_nested_markup_does_not_hold_up_the_others(patient_pages: Pages, site: Site) -> None:
    nested = site.page("/nested", b"<title>deep</title>" + b"<div>" * 300_000)
    small = site.page("/small", "<title>A</title>")
    slow = asyncio.create_task(_code(patient_pages, nested))
    await asyncio.sleep(0.2)
    started = perf_counter()
    assert await _code(patient_pages, small) == "success"
    assert perf_counter() - started < 1
    assert await slow == "success"


@pytest.mark.parametrize(
    "again",
    [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n"],
)
@pytest.mark.parametrize("times", [1, 20_000])
async def test_a_site_sends_a_few_informational_responses(
    pages: Pages, site: Site, again: bytes, times: int
) -> None:
    url = _repeat(site, b"", again * times, pause=0.001)
    assert await _code(pages, url) == "too_large"


async def test_chunks_of_one_byte_end_before_they_cost_much(pages: Pages, site: Site) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    few = site.raw("/few", head + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n")
    assert (await pages.get(few)).html == "x" * 10_000
    many = site.raw("/many", head + b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n")
    assert await _code(pages, many) == "too_large"


async def test_a_location_that_no_url_can_have_is_not_read(pages: Pages, site: Site) -> None:
    url = site.raw("/", b"HTTP/1.1 302 X\r\nLocation: /" + b"\xe9" * 120_000 + b"\r\n\r\n")
    assert await _code(pages, url) == "invalid_url"
