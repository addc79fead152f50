"""Bodies that share one budget: none stands still, and memory is bounded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from parser_service.config import MIB, Settings
from parser_service.dependencies import open_pipeline
from parser_service.exceptions import FetchTimeoutError
from parser_service.fetching.body_budget import CHECK_SECONDS, GRACE_SECONDS, BodyBudget
from tests.support.clock import Clock
from tests.support.pages import Pages
from tests.support.site import Site
from tests.support.waiting import until


def _silent() -> bool:
    return True


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_bytes_come_back_to_those_who_wait_in_order() -> None:
    budget = BodyBudget(100, min_rate=1)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(budget.begin(_silent))
        second = await stack.enter_async_context(budget.begin(_silent))
        await first.take(60)
        async with budget.begin(_silent) as third:
            await third.take(30)
            waiting = asyncio.create_task(second.take(20))
            behind = asyncio.create_task(first.take(5))
            await _settle()
            assert not waiting.done()
            assert behind.done(), "the older one is served first, and it fits"
        await waiting
        assert (first.taken, second.taken) == (65, 20)


async def test_if_all_wait_the_oldest_goes_on() -> None:
    budget = BodyBudget(100, min_rate=1)
    async with budget.begin(_silent) as first, budget.begin(_silent) as second:
        await first.take(50)
        await second.take(50)
        one = asyncio.create_task(first.take(10))
        other = asyncio.create_task(second.take(10))
        await _settle()
        assert (one.done(), other.done()) == (True, False)
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
        assert (first.taken, second.taken) == (60, 50)


async def test_who_was_cancelled_while_it_waited_leaves_the_line() -> None:
    budget = BodyBudget(100, min_rate=1)
    async with (
        budget.begin(_silent) as first,
        budget.begin(_silent) as second,
        budget.begin(_silent) as third,
    ):
        await first.take(90)
        impatient = asyncio.create_task(second.take(50))
        patient = asyncio.create_task(third.take(10))
        await _settle()
        assert not patient.done()
        impatient.cancel()
        await patient
        assert third.taken == 10


@pytest.mark.parametrize(("seconds", "gives_way"), [(1.0, False), (GRACE_SECONDS + 6, True)])
async def test_a_slow_body_gives_way_only_while_others_wait(
    seconds: float, gives_way: bool
) -> None:
    clock = Clock()
    budget = BodyBudget(100, min_rate=10, clock=clock)
    ended = asyncio.Event()

    async def drip() -> str:
        async with budget.begin(_silent) as slow:
            try:
                async with slow.arriving():
                    await slow.take(50)
                    await ended.wait()
            except FetchTimeoutError:
                return "gave way"
        return "ended"

    dripping = asyncio.create_task(drip())
    await _settle()
    clock.now += seconds
    await _settle()
    assert not dripping.done(), "nobody waits"
    async with budget.begin(_silent) as quick:
        taking = asyncio.create_task(quick.take(60))
        await asyncio.sleep(CHECK_SECONDS * 1.5 if not gives_way else 0)
        await _settle()
        assert dripping.done() is gives_way
        ended.set()
        await taking
    assert await dripping == ("gave way" if gives_way else "ended")


async def test_a_site_whose_bytes_are_not_read_yet_is_not_slow() -> None:
    clock = Clock()
    budget = BodyBudget(100, min_rate=10, clock=clock)
    async with budget.begin(lambda: False) as unread, budget.begin(_silent) as quick:
        async with unread.arriving():
            await unread.take(90)
            clock.now += 1000
            taking = asyncio.create_task(quick.take(60))
            await _settle()
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)


@pytest.fixture
async def pages(settings: Settings) -> AsyncIterator[Pages]:
    changes = {"fetch_timeout": 30, "fetch_body_budget": 2 * MIB, "fetch_min_rate": 4 * MIB}
    async with open_pipeline(settings.model_copy(update=changes)) as opened:
        yield Pages(opened)


def _drip(site: Site, path: str, size: int) -> str:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\n\r\n" + bytes(size))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.1)

    return site.answer(path, answer)


@pytest.mark.slow
async def test_big_pages_that_drip_do_not_hold_up_a_page(pages: Pages, site: Site) -> None:
    dripping = [
        asyncio.create_task(pages.get(_drip(site, f"/{n}", MIB - 100_000))) for n in range(2)
    ]
    await until(lambda: len(site.requests) == 2)
    await asyncio.sleep(0.5)
    page = await pages.get(site.page("/big", b"<title>A</title>" + b"<p>text</p>" * 60_000))
    assert page.title == "A"
    ended = [task for task in dripping if task.done()]
    assert [type(task.exception()) for task in ended] == [FetchTimeoutError]
    for task in dripping:
        task.cancel()
    await asyncio.gather(*dripping, return_exceptions=True)
