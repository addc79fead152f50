"""A chore is done by one worker at a time, and not too often."""

import asyncio

import redis.asyncio as aioredis

from api_service.parser_client.keys import Keys
from api_service.queueing.chores import PeriodicChores
from tests.support.keys import QUEUE, RESULTS
from tests.support.time_travel import older_keys


async def test_a_turn_is_one_processs_for_its_time(redis: aioredis.Redis) -> None:
    keys = Keys(QUEUE, RESULTS)
    workers = [PeriodicChores(redis, keys, name=str(number)) for number in range(5)]
    claimed = await asyncio.gather(*(worker.try_claim("look", every=5) for worker in workers))
    assert sum(claimed) == 1
    assert await workers[0].try_claim("other", every=5)
    await older_keys(redis, 4)
    assert not await workers[0].try_claim("look", every=5)
    await older_keys(redis, 2)
    assert await workers[1].try_claim("look", every=5)


async def test_a_chore_that_is_postponed_is_nobodys_for_so_long(redis: aioredis.Redis) -> None:
    chores = PeriodicChores(redis, Keys(QUEUE, RESULTS), name="1")
    assert await chores.try_claim("look", every=5)
    await chores.postpone("look", seconds=20)
    await older_keys(redis, 19)
    assert not await chores.try_claim("look", every=5)
    await older_keys(redis, 2)
    assert await chores.try_claim("look", every=5)
