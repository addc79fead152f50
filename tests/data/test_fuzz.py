"""Run the fuzzers for a few seconds; `make fuzz` runs them for long."""

import random

import pytest

from tests.data.cost_fuzz import search
from tests.data.fuzz import fuzz, pages


async def test_mutated_pages_do_no_harm() -> None:
    outcomes = await fuzz(5, random.SystemRandom().randrange(2**32), pages())
    assert outcomes["parsed"] > outcomes.total() / 2


@pytest.mark.slow
def test_no_page_that_a_short_search_finds_costs_too_much() -> None:
    worst = search(5, random.SystemRandom().randrange(2**32))
    assert worst
