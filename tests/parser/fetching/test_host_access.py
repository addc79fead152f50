"""A synchronous page waits for its host for as long as it may, whatever Redis does."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

import pytest
import redis.asyncio as aioredis

from parser_service.config import Settings
from parser_service.exceptions import BusyError
from parser_service.fetching.host_access import SyncPageAccess
from parser_service.fetching.places import FetchPlaces
from parser_service.fetching.url_guard import VettedUrl, parse_url
from parser_service.redis_queue.host_limits import HostLimits
from parser_service.redis_queue.keys import Keys
from tests.support.waiting import until

KEYS = Keys.of(Settings())
TARGET = VettedUrl(parse_url("http://a.example/"))


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


async def test_a_redis_that_hangs_during_a_wait_does_not_make_it_longer(
    redis: aioredis.Redis,
) -> None:
    limits = HostLimits(redis, keys=KEYS, max_concurrent=1, min_interval=0, lease=60)
    assert await limits.acquire_or_park("a.example", b"{}")
    places = FetchPlaces(2, share=0.5)
    started = perf_counter()
    async with SyncPageAccess(limits, places, patience=0.6) as access:
        waiting = asyncio.create_task(access.obtain_host_access(TARGET, ()))
        await until(lambda: redis.exists(KEYS.host_tickets("a.example")))
        await redis.client_pause(2000)
        with pytest.raises(BusyError):
            await waiting
    assert perf_counter() - started < 1.4
    assert places.has_room_in_share("a.example")
    await until(lambda: _is_missing(redis, KEYS.host_tickets("a.example")))
    await limits.close()


async def _is_missing(redis: aioredis.Redis, key: str) -> bool:
    return not await redis.exists(key)
