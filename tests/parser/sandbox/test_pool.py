"""No page, however it is made, holds up the others or takes the parser's memory."""

import asyncio
from collections.abc import AsyncIterator
from time import thread_time

import psutil
import pytest

from parser_service.exceptions import FetchTimeoutError, TooLargeError
from parser_service.markup.content_type import Markup
from parser_service.parser import RawPage
from parser_service.sandbox import pool as parse_pool
from parser_service.sandbox.pool import ParseRunner

# Its end tags end nothing, so it nests deeper than counting them tells.
ENDLESS = b"<div></x>" * 200_000
LONG_SCRIPT = b"<title>A</title><script>" + b"x" * 300_000 + b"</script>"


@pytest.fixture
async def pool() -> AsyncIterator[ParseRunner]:
    opened = ParseRunner()
    yield opened
    await opened.close()


def _source(body: bytes) -> RawPage:
    return RawPage(body, Markup.HTML, "https://example.com/")


async def test_a_long_page_is_parsed_by_a_child(pool: ParseRunner) -> None:
    before = len(psutil.Process().children())
    facts = await pool.parse(_source(LONG_SCRIPT))
    assert (facts.title, facts.html) == ("A", LONG_SCRIPT.decode())
    assert len(psutil.Process().children()) == before + 1
    await pool.parse(_source(LONG_SCRIPT))
    assert len(psutil.Process().children()) == before + 1


async def test_a_page_that_takes_too_long_is_killed_and_others_go_on(
    pool: ParseRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parse_pool, "CHILD_PARSE_TIMEOUT_SECONDS", 2.0)
    endless = [asyncio.create_task(pool.parse(_source(ENDLESS))) for _ in range(2)]
    await asyncio.sleep(0.2)
    assert (await pool.parse(_source(b"<title>short</title>"))).title == "short"
    assert not any(task.done() for task in endless), "it waited for them"
    for task in endless:
        with pytest.raises(FetchTimeoutError):
            await task
    monkeypatch.undo()  # a busy machine may take long for a page that is not endless
    assert (await pool.parse(_source(LONG_SCRIPT))).title == "A"


async def test_a_site_whose_pages_take_long_leaves_a_child_to_its_neighbours(
    pool: ParseRunner,
) -> None:
    slow = [asyncio.create_task(pool.parse(_source(ENDLESS))) for _ in range(3)]
    await asyncio.sleep(0.2)
    neighbour = RawPage(LONG_SCRIPT, Markup.HTML, "https://neighbour.example/")
    assert (await pool.parse(neighbour)).title == "A"
    assert not any(task.done() for task in slow)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


async def test_a_page_that_takes_too_much_memory_is_refused(pool: ParseRunner) -> None:
    reopened = b"<p>" + b"".join(b"<b a%d>" % n for n in range(1500)) + b"<p>x" * 6400
    with pytest.raises(TooLargeError):
        await pool.parse(_source(reopened))
    assert (await pool.parse(_source(LONG_SCRIPT))).title == "A"


async def test_the_event_loop_turns_while_pages_are_parsed(pool: ParseRunner) -> None:
    pages = [
        b"<p>" * 3_000_000,
        b"<b>" * 200_000,
        b"<a b=c>" * 600_000,
        b"<title>" + b"x" * 5_000_000,
        b"<table>" * 8_000,
        "<p>\u3042</p>".encode() * 500_000,
    ]
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            started = thread_time()  # other processes may have the machine meanwhile
            await asyncio.sleep(0.01)
            longest = max(longest, thread_time() - started)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(pool.parse(_source(body)) for body in pages), return_exceptions=True)
    await asyncio.sleep(0.05)  # else what held up the loop to its end would not be seen
    watching.cancel()
    assert longest < 0.2


async def test_cancelling_kills_the_child(pool: ParseRunner) -> None:
    before = {child.pid for child in psutil.Process().children()}
    task = asyncio.create_task(pool.parse(_source(b"<div>" * 400_000)))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert {child.pid for child in psutil.Process().children()} == before


async def test_an_idle_child_ends(pool: ParseRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse_pool, "CHILD_IDLE_SECONDS", 0.1)
    before = {child.pid for child in psutil.Process().children()}
    await pool.parse(_source(LONG_SCRIPT))
    await asyncio.sleep(0.5)
    running = {c.pid for c in psutil.Process().children() if c.status() != "zombie"}
    assert running == before


async def test_a_large_page_as_people_write_them_has_memory_enough(pool: ParseRunner) -> None:
    paragraph = '<p class="text">Words, <a href="/x">links</a> and more words \u2603.</p>\n'
    body = (paragraph * (10_000_000 // len(paragraph.encode()))).encode()
    assert len((await pool.parse(_source(b"<title>A</title>" + body))).html) > 9_000_000
