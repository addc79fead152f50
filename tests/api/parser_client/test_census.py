"""What Redis holds is listed and counted completely, wherever it is."""

import json
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from api_service.parser_client.census import ITEMS_PER_READ, QueueDepths, RedisCensus
from api_service.parser_client.keys import Keys
from tests.support.keys import QUEUE, RESULTS

KEYS = Keys(QUEUE, RESULTS)


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


def _job(number: int | str) -> str:
    return json.dumps({"id": number, "url": "https://a.example/"})


def _parked(number: int) -> str:
    return json.dumps({"job": _job(number), "url": "https://a.example/", "redirects": []})


async def _fill(redis: aioredis.Redis) -> None:
    await redis.rpush(KEYS.task_queue, _job(1), _job("foreign"), _job(10**18))
    for number, host in enumerate(("a.example", "b.example:81"), 2):
        await redis.zadd(KEYS.hosts_with_waiters, {host: 0})
        await redis.rpush(KEYS.host_waiting_jobs(host), _parked(number))
    await redis.rpush(KEYS.ready_jobs, f"r1\na.example\n{_parked(4)}")
    await redis.zadd(KEYS.leases, {"5-a": 0, "of somebody else": 0})
    await redis.zadd(KEYS.announcement_takers, {"one": 0})
    await redis.rpush(KEYS.taken_announcements("one"), '{"id":6,"token":"6-a","bytes":100}')
    await redis.rpush(KEYS.reply_list, '{"id":7,"token":"7-a","bytes":100}')
    await redis.set(KEYS.reply_bytes, 200)


async def test_every_place_is_listed(raw: aioredis.Redis) -> None:
    await _fill(raw)
    ids = [number async for number in RedisCensus(raw, KEYS, name="one").request_ids_in_redis()]
    assert sorted(ids) == [0, 0, 0, 1, 2, 3, 4, 5, 6, 7]


async def test_a_long_list_is_listed_completely(raw: aioredis.Redis) -> None:
    numbers = range(1, 2 * ITEMS_PER_READ + 2)
    await raw.rpush(KEYS.task_queue, *map(_job, numbers))
    ids = [number async for number in RedisCensus(raw, KEYS, name="one").request_ids_in_redis()]
    assert sorted(ids) == list(numbers)


async def test_depths_are_counted_by_place(raw: aioredis.Redis) -> None:
    census = RedisCensus(raw, KEYS, name="one")
    assert await census.read_depths() == QueueDepths(0, 0, 0, 0, 0, 0)
    await _fill(raw)
    assert await census.read_depths() == QueueDepths(
        jobs=3, ready=1, waiting=2, held=2, results=1, result_bytes=200
    )


async def test_processes_without_a_recent_heartbeat_are_not_alive(raw: aioredis.Redis) -> None:
    census = RedisCensus(raw, KEYS, name="one")
    now, _ = await raw.time()
    await raw.zadd(KEYS.workers, {"silent": now - 30, "long dead": now - 90})
    await raw.zadd(KEYS.parsers, {"a": now, "b": now - 5, "c": now - 30})
    assert await census.count_alive_parsers_and_workers() == (2, 0)
    await census.record_heartbeat()
    assert await census.count_alive_parsers_and_workers() == (2, 1)
    assert await raw.zrange(KEYS.workers, 0, -1) == [b"silent", b"one"]
