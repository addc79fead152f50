"""A short fuzz run; `make fuzz` is the long one."""

import random

from tests.data.fuzz import fuzz, pages


async def test_mutated_pages_do_no_harm() -> None:
    outcomes = await fuzz(5, random.SystemRandom().randrange(2**32), pages())
    assert outcomes["parsed"] > 100
