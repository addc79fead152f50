"""Pages that are parsed on the event loop leave turns to everything else."""

import asyncio
from itertools import pairwise
from time import thread_time

import pytest

from parser_service.markup.content_type import Markup
from parser_service.parser import ParsedPage, RawPage, parse
from parser_service.sandbox import pool as parse_pool
from parser_service.sandbox.pool import ParseRunner
from parser_service.sandbox.turns import (
    MAX_SECONDS_ON_LOOP,
    MAX_SECONDS_PER_TURN,
    SECONDS_ELSEWHERE,
    TURNS_FOR_OTHERS,
    LoopTurns,
    SlowSites,
)

PAGE = RawPage(b"<title>A</title>", Markup.HTML, "https://slow.example/")


async def _turns_between(costs: list[float]) -> list[int]:
    """Let pages of these costs begin at once; return the turns that pass before each."""
    turns = LoopTurns()
    turn = 0
    begun: list[int] = []

    async def page(cost: float) -> None:
        await turns.wait()
        begun.append(turn)
        turns.note(cost)

    pages = [asyncio.create_task(page(cost)) for cost in costs]
    while not all(task.done() for task in pages):
        await asyncio.sleep(0)
        turn += 1
    return begun


async def test_pages_that_take_long_have_turns_between_them() -> None:
    begun = await _turns_between([MAX_SECONDS_PER_TURN] * 5)
    assert all(b - a >= TURNS_FOR_OTHERS for a, b in pairwise(begun))


async def test_pages_that_take_little_share_a_turn() -> None:
    assert len(set(await _turns_between([MAX_SECONDS_PER_TURN / 10] * 8))) == 1


async def test_a_page_that_is_given_up_holds_up_no_other() -> None:
    turns = LoopTurns()
    turns.note(MAX_SECONDS_PER_TURN)
    waiting = [asyncio.create_task(turns.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait_for(asyncio.gather(*waiting[1:]), 1)


async def test_pages_released_together_are_parsed_in_turns_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn, parsed = 0, []

    def costly(page: RawPage, **_: object) -> ParsedPage:
        parsed.append(turn)
        end = thread_time() + MAX_SECONDS_PER_TURN
        while thread_time() < end:
            pass
        return parse(page)

    monkeypatch.setattr(parse_pool, "parse", costly)
    runner = ParseRunner()
    pages = [asyncio.create_task(runner.parse(PAGE)) for _ in range(8)]
    while not all(task.done() for task in pages):
        await asyncio.sleep(0)
        turn += 1
    assert len(set(parsed)) == 8


async def test_a_site_whose_page_took_long_here_is_parsed_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def costly(page: RawPage, **_: object) -> ParsedPage:
        end = thread_time() + MAX_SECONDS_ON_LOOP
        while thread_time() <= end:
            pass
        return ParsedPage("here", None, "", "utf-8", parse(page).metadata)

    monkeypatch.setattr(parse_pool, "parse", costly)
    runner = ParseRunner()
    other = RawPage(PAGE.body, PAGE.markup, "https://other.example/")
    try:
        titles = [(await runner.parse(page)).title for page in (PAGE, PAGE, other)]
    finally:
        await runner.close()
    assert titles == ["here", "A", "here"]


def test_a_site_is_parsed_here_again_after_a_while() -> None:
    now = 0.0
    sites = SlowSites(clock=lambda: now)
    sites.note("fast.example", MAX_SECONDS_ON_LOOP / 2)
    sites.note("slow.example", 2 * MAX_SECONDS_ON_LOOP)
    assert ("fast.example" in sites, "slow.example" in sites) == (False, True)
    now = SECONDS_ELSEWHERE
    assert "slow.example" not in sites
