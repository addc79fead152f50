"""Run the fuzzer for a few seconds; `make fuzz` runs it for long."""

import random

from tests.data.fuzz import fuzz, pages


async def test_mutated_pages_do_no_harm() -> None:
    outcomes = await fuzz(5, random.SystemRandom().randrange(2**32), pages())
    assert outcomes["parsed"] > 100
