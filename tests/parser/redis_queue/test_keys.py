"""Python and Lua name the same keys."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from parser_service.config import Settings
from parser_service.redis_queue.host_limits import HostLimits
from parser_service.redis_queue.job_queue import JobQueue
from parser_service.redis_queue.keys import Keys, unpersisted_bytes_key

KEYS = Keys(task_queue="jobs", result_prefix="results:")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


async def _keys_in(redis: aioredis.Redis) -> set[str]:
    return {str(key) for key in await redis.keys("*")}


def test_the_names_are_those_that_the_settings_ask_for() -> None:
    assert Keys.of(Settings(task_queue="jobs", result_prefix="results:")) == KEYS


async def test_the_scripts_of_host_limits_use_the_keys_that_python_names(
    redis: aioredis.Redis,
) -> None:
    limits = HostLimits(redis, keys=KEYS, max_concurrent=1, min_interval=60, lease=10)
    slot = await limits.acquire_or_park("a", b"{}")
    assert slot
    assert await _keys_in(redis) == {KEYS.host_slots("a"), KEYS.host_next_slot_time("a")}
    await redis.zadd(KEYS.leases, {"token": 1, "other": 1})
    assert await limits.acquire_or_park("a", b"{}", token="token") is None
    assert await redis.zrange(KEYS.leases, 0, -1) == ["other"]
    _, is_ours = await limits.acquire_or_get_ticket("a")
    assert not is_ours
    assert await _keys_in(redis) == {
        KEYS.host_slots("a"),
        KEYS.host_next_slot_time("a"),
        KEYS.host_waiting_jobs("a"),
        KEYS.host_tickets("a"),
        KEYS.hosts_with_waiters,
        KEYS.leases,
    }
    await redis.delete(KEYS.host_next_slot_time("a"), KEYS.host_tickets("a"))
    await limits.release(slot)
    assert await _keys_in(redis) == {
        KEYS.host_slots("a"),
        KEYS.host_next_slot_time("a"),
        KEYS.ready_jobs,
        KEYS.slot_holder_counter,
        KEYS.leases,
    }


async def test_the_scripts_of_begin_and_put_aside_use_the_keys_that_python_names(
    redis: aioredis.Redis,
) -> None:
    limits = HostLimits(redis, keys=KEYS, max_concurrent=1, min_interval=60, lease=10)
    assert await limits.reserve_request_time("a", max_wait=1) == 0
    assert await limits.reserve_request_time("a", max_wait=1) is None
    assert await _keys_in(redis) == {KEYS.host_next_request_time("a")}
    slot = await limits.acquire_or_park("b", b"{}")
    await redis.zadd(KEYS.leases, {"token": 1, "other": 1})
    await limits.park("b", b"aside", slot=slot, token="token")
    assert await redis.zrange(KEYS.leases, 0, -1) == ["other"]
    assert await redis.lrange(KEYS.host_waiting_jobs("b"), 0, -1) == ["aside"]
    assert await _keys_in(redis) == {
        KEYS.host_next_request_time("a"),
        KEYS.host_next_slot_time("b"),
        KEYS.host_waiting_jobs("b"),
        KEYS.hosts_with_waiters,
        KEYS.leases,
    }


async def test_the_queue_uses_the_keys_that_are_named(redis: aioredis.Redis) -> None:
    queue = JobQueue(redis, name="parser", keys=KEYS, result_ttl=60)
    await redis.rpush(KEYS.task_queue, '{"id": 1, "token": "t"}', '{"id": 2}')
    await queue.take(1)
    await queue.record_heartbeat()
    (taking,) = await redis.keys(KEYS.last_taken_messages("parser:*"))
    assert await _keys_in(redis) == {KEYS.task_queue, KEYS.leases, KEYS.parsers, str(taking)}
    await queue.finish(1, b"{}", token="t", reply=KEYS.api_reply_list)
    assert await _keys_in(redis) == {
        KEYS.task_queue,
        KEYS.parsers,
        str(taking),
        KEYS.result(1),
        KEYS.api_reply_list,
        KEYS.api_unpersisted_bytes,
    }
    assert KEYS.api_unpersisted_bytes == unpersisted_bytes_key(KEYS.api_reply_list)
