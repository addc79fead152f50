"""Large pages are passed on in pieces: the event loop turns between them."""

import asyncio
import gzip
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Self

import httpx
import pytest

from parser_service.fetching import robots
from parser_service.fetching.body import BYTES_PER_TURN
from parser_service.jobs.outcome import encode_page
from parser_service.markup.content_type import Markup
from parser_service.page import PIECE_CHARACTERS, Page, json_pieces
from parser_service.parser import RawPage, parse
from parser_service.redis_queue.messages import Job, SuccessResult
from parser_service.responses import FetchAnswer
from parser_service.sandbox.pool import PIECE_BYTES, ParseRunner
from tests.support.pages import Pages
from tests.support.site import Site

LONG = '<title>"html":""</title>\x01\x1f\x7f\\"é\U0001f600\u2028</script>\n' * 9000


def _page(html: str) -> Page:
    raw = RawPage(html.encode(), Markup.HTML, "https://example.com/", "utf-8")
    facts = parse(raw)
    return Page(
        title=facts.title,
        title_source=facts.title_source,
        html=facts.html,
        metadata=facts.metadata,
        final_url=raw.url,
        redirects=[],
        http_status=200,
        content_type='text/html; charset="html":""',
        charset="utf-8",
        bytes=len(raw.body),
        elapsed_ms=1,
        fetched_at=datetime.now(UTC),
    )


class _Turns:
    """Count the turns of the event loop while something is done."""

    def __init__(self) -> None:
        self.count = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.count += 1


@pytest.mark.parametrize("html", ["", "<title>A</title>", LONG, "\0" * (2 * PIECE_CHARACTERS)])
async def test_json_in_pieces_is_the_same_json(html: str) -> None:
    answer = FetchAnswer(url="https://example.com/", **dict(_page(html)))
    result = SuccessResult(token="t", kind="page", **dict(_page(html)))
    for page in (answer, result):
        assert b"".join(await json_pieces(page)) == page.model_dump_json().encode()


async def test_a_long_page_is_written_in_many_turns() -> None:
    page = _page("\x01" * (50 * PIECE_CHARACTERS))
    async with _Turns() as turns:
        await json_pieces(page)
    assert turns.count >= 45


@pytest.mark.parametrize("html", ["<title>A</title>", LONG])
async def test_a_result_of_any_length_is_its_json(html: str) -> None:
    page = _page(html)
    job = Job(id=1, url="https://example.com/", token="t")
    result = SuccessResult(token="t", kind="page", **dict(page))
    assert await encode_page(page, job) == result.model_dump_json().encode()


async def test_a_long_answer_is_complete(client: httpx.AsyncClient, site: Site) -> None:
    response = await client.get("/fetch", params={"url": site.page("/", LONG)})
    assert response.json()["html"] == LONG
    assert int(response.headers["content-length"]) == len(response.content)


async def test_a_page_goes_to_a_child_and_back_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    read, write = asyncio.StreamReader.readexactly, asyncio.StreamWriter.write

    async def noting_read(self: asyncio.StreamReader, n: int) -> bytes:
        sizes.append(n)
        return await read(self, n)

    def noting_write(self: asyncio.StreamWriter, data: bytes) -> None:
        sizes.append(len(data))
        write(self, data)

    monkeypatch.setattr(asyncio.StreamReader, "readexactly", noting_read)
    monkeypatch.setattr(asyncio.StreamWriter, "write", noting_write)
    html = "<title>A</title>" + "aé\U0001f600\0" * 200_000
    pool = ParseRunner()
    try:
        page = RawPage(html.encode(), Markup.HTML, "https://example.com/", "utf-8")
        facts = await pool.parse(page)
    finally:
        await pool.close()
    assert (facts.title, facts.html) == ("A", html.replace("\0", "\ufffd"))
    assert max(sizes) == PIECE_BYTES


async def test_a_body_that_grows_out_of_one_chunk_has_turns_in_between(
    pages: Pages, site: Site
) -> None:
    body = gzip.compress(bytes(8 * BYTES_PER_TURN))
    headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    url = site.respond("/", 200, body, {**headers, "Content-Type": "text/html"})
    with pytest.MonkeyPatch.context() as patch:
        slept: list[float] = []
        sleep = asyncio.sleep

        async def counting(seconds: float) -> None:
            slept.append(seconds)
            await sleep(seconds)

        patch.setattr("parser_service.fetching.body.asyncio.sleep", counting)
        await pages.get(url)
    assert slept.count(0) >= 8


@pytest.mark.parametrize(("length", "is_here"), [(1000, True), (500_000, False)])
async def test_a_long_robots_txt_is_reduced_in_a_thread(
    length: int,
    is_here: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []

    def noting(robot: str, text: str) -> str:
        threads.append(threading.current_thread())
        return ""

    async def fetch(_: str) -> tuple[int, bytes]:
        return 200, b"x\n" * (length // 2)

    monkeypatch.setattr(robots, "reduce_to_groups_of", noting)
    rules = robots.RobotsRulesCache(SimpleNamespace(fetch=fetch), user_agent="Robot/1")
    target = SimpleNamespace(origin="https://example.com", url="https://example.com/")
    await rules.require_allowed(target)  # type: ignore[arg-type]
    assert [thread is threading.current_thread() for thread in threads] == [is_here]
