"""Connections that sites misuse: each page is what its own request was answered with."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from itertools import count

import psutil
import pytest

from parser_service.config import MIB, Settings
from parser_service.dependencies import open_pipeline
from parser_service.exceptions import FetchError
from tests.support.pages import Pages
from tests.support.site import Site


def page(title: str, headers: str = "") -> bytes:
    body = f"<title>{title}</title>"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{headers}Content-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


INJECTED = page("injected")


class KeepAliveSite:
    """Answer any number of requests on a connection.

    Args:
        answer: makes the bytes for a path.
        late: sent some time after each answer.
    """

    def __init__(self, answer: Callable[[str], bytes], *, late: bytes = b"") -> None:
        self._answer = answer
        self._late = late
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head.split(b" ")[1].decode()))
                await writer.drain()
                if self._late:
                    await asyncio.sleep(0.05)
                    writer.write(self._late)
        self.open.discard(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(site: KeepAliveSite, host: str = "127.0.0.1") -> AsyncIterator[str]:
    server = await asyncio.start_server(site.serve, host, 0)
    yield f"http://{host}:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in list(site.open):
        writer.transport.abort()
    await server.wait_closed()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"fetch_allowed_ports": frozenset(range(1024, 65536))})


@pytest.fixture
async def pages(settings: Settings) -> AsyncIterator[Pages]:
    async with open_pipeline(settings.model_copy(update={"fetch_timeout": 5})) as opened:
        yield Pages(opened)


async def _titles(pages: Pages, url: str, *, pause: float) -> list[str]:
    titles = []
    for n in range(4):
        try:
            titles.append((await pages.get(f"{url}/{n}")).title)
        except FetchError as error:
            titles.append(error.code)
        await asyncio.sleep(pause)
    return titles


async def test_a_connection_serves_the_next_page(pages: Pages) -> None:
    site = KeepAliveSite(page)
    async with serving(site) as url:
        assert await _titles(pages, url, pause=0) == ["/0", "/1", "/2", "/3"]
    assert site.connections == 1


@pytest.mark.parametrize("pause", [0, 0.1])
@pytest.mark.parametrize(
    ("behind", "late"),
    [
        pytest.param(INJECTED, b"", id="a second response"),
        pytest.param(b"", INJECTED, id="a second response, later"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + INJECTED, b"", id="behind a 100"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="a 100, later"),
        pytest.param(b"HTTP/1.1 ", b"", id="the beginning of one"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"", id="a head"),
        pytest.param(b"\r\n", b"\r\n", id="an empty line"),
    ],
)
async def test_what_nobody_asked_for_is_never_the_next_page(
    pages: Pages, behind: bytes, late: bytes, pause: float
) -> None:
    async with serving(KeepAliveSite(lambda path: page(path) + behind, late=late)) as url:
        titles = await _titles(pages, url, pause=pause)
    if late and not pause:
        # What comes after the next request has gone out could be its answer, for all HTTP knows.
        assert titles[0] == "/0"
    else:
        assert titles == ["/0", "/1", "/2", "/3"]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
)
async def test_a_body_where_none_may_be_is_not_the_next_page(pages: Pages, head: bytes) -> None:
    numbers = count()

    def answer(path: str) -> bytes:
        if next(numbers) % 2:
            return page(path)
        return (head % len(INJECTED) if b"%d" in head else head) + INJECTED

    async with serving(KeepAliveSite(answer)) as url:
        titles = await _titles(pages, url, pause=0.02)
    assert titles == ["http_status", "/1", "http_status", "/3"]


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 21\r\n",
        "not a header\r\n",
        "X Y: z\r\n",
        "X : y\r\n",
        "Set-Cookie : a=b\r\n",
    ],
)
async def test_a_head_that_browsers_read_is_read_and_its_connection_ends(
    pages: Pages, headers: str
) -> None:
    site = KeepAliveSite(lambda path: page(f"page {path}", headers.replace("21", "22")))
    async with serving(site) as url:
        assert await _titles(pages, url, pause=0) == ["page /0", "page /1", "page /2", "page /3"]
    assert site.connections == 4


async def test_two_lengths_are_refused(pages: Pages) -> None:
    async with serving(KeepAliveSite(lambda path: page(path, "Content-Length: 3\r\n"))) as url:
        assert await _titles(pages, url, pause=0) == ["malformed_response"] * 4


@pytest.mark.parametrize(
    ("start", "again"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: %s\r\n" % (b"y" * 50_000), id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X-Short: y\r\n" * 5_000, id="short headers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\n<p>\r\n0\r\n",
            b"X: %s\r\n" % (b"y" * 50_000),
            id="trailers",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            b"y" * 50_000,
            id="an extension of a chunk",
        ),
    ],
)
async def test_overhead_is_bounded_while_it_arrives(
    pages: Pages, site: Site, start: bytes, again: bytes
) -> None:
    sent = 0

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(start)
        with contextlib.suppress(ConnectionError):
            while sent < 40 * MIB:
                writer.write(again)
                sent += len(again)
                await writer.drain()

    url = site.answer("/", answer)
    before = psutil.Process().memory_info().rss
    with pytest.raises(FetchError) as caught:
        await pages.get(url)
    assert caught.value.code == "too_large"
    assert sent < 20 * MIB, "the connection was cut"
    assert psutil.Process().memory_info().rss - before < 20 * MIB


async def test_idle_connections_are_bounded_and_the_oldest_given_up(settings: Settings) -> None:
    sites = [KeepAliveSite(page) for _ in range(6)]
    few = settings.model_copy(update={"fetch_max_idle_connections": 2})
    async with contextlib.AsyncExitStack() as stack:
        pages = Pages(await stack.enter_async_context(open_pipeline(few)))
        urls = [
            await stack.enter_async_context(serving(site, f"127.0.0.{n}"))
            for n, site in enumerate(sites, 1)
        ]
        for url in urls:
            await pages.get(f"{url}/")
        await asyncio.sleep(0.05)
        assert [len(site.open) for site in sites] == [0, 0, 0, 0, 1, 1]
        await pages.get(f"{urls[-1]}/")
        await pages.get(f"{urls[0]}/")
        await asyncio.sleep(0.05)
        assert [len(site.open) for site in sites] == [1, 0, 0, 0, 0, 1]
    assert [site.connections for site in sites] == [2, 1, 1, 1, 1, 1]


CHUNKED = b"16\r\n<title>chunked</title>\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "body", "title"),
    [
        (b"Content-Length: 17\r\n", b"<title>own</title></html>", "own</title"),
        (b"Content-Length: 18\r\n", b"<title>own</title>\r\n", "own"),
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", CHUNKED, "chunked"),
        (b"Transfer-Encoding: identity\r\nContent-Length: 18\r\n", b"<title>own</title>", "own"),
        (b"Content-Length: 18, 18\r\n", b"<title>own</title>", "own"),
        (b"Content-Length: \r\n", b"<title>own</title>", "own"),
        (b"Content-Length: 17 bytes\r\n", b"<title>own</title>", "own"),
        (b"X: a\rb\r\r\nContent-Length: 18\r\n", b"<title>own</title>", "own"),
    ],
)
async def test_a_body_ends_where_browsers_end_it(
    pages: Pages, site: Site, headers: bytes, body: bytes, title: str
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    url = site.raw("/", head + headers + b"\r\n" + body)
    assert (await pages.get(url)).title == title


async def test_a_connection_with_more_than_a_body_serves_no_other_page(pages: Pages) -> None:
    site = KeepAliveSite(lambda path: page(path) + b"</html>")
    async with serving(site) as url:
        assert await _titles(pages, url, pause=0) == ["/0", "/1", "/2", "/3"]
    assert site.connections == 4
