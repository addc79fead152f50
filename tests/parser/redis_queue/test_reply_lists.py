"""The throttle counts the results of every producer that names a reply list."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from parser_service.redis_queue import reply_lists
from parser_service.redis_queue.job_queue import JobQueue
from parser_service.redis_queue.keys import Keys, unpersisted_bytes_key

KEYS = Keys(task_queue="jobs", result_prefix="results:")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def queue(redis: aioredis.Redis) -> JobQueue:
    return JobQueue(redis, name="parser", keys=KEYS, result_ttl=60)


async def test_the_apis_results_count_before_any_job_names_its_list(
    redis: aioredis.Redis, queue: JobQueue
) -> None:
    assert await queue.unpersisted_result_bytes() == 0
    await redis.set(KEYS.api_unpersisted_bytes, 700)
    assert await queue.unpersisted_result_bytes() == 700


async def test_the_results_of_all_producers_add_up_until_they_are_persisted(
    redis: aioredis.Redis, queue: JobQueue
) -> None:
    await queue.finish(1, b"x" * 10, token="t", reply=KEYS.api_reply_list)
    await queue.finish("a", b"x" * 100, token="t", reply="second:done")
    await queue.finish("b", b"x" * 1000, token="t", reply="third:done")
    assert await queue.unpersisted_result_bytes() == 1110
    await redis.decrby(unpersisted_bytes_key("second:done"), 100)
    assert await queue.unpersisted_result_bytes() == 1010
    await redis.delete(unpersisted_bytes_key("third:done"), KEYS.api_unpersisted_bytes)
    assert await queue.unpersisted_result_bytes() == 0
    await queue.finish("c", b"x" * 5, token="t", reply="second:done")
    assert await queue.unpersisted_result_bytes() == 5


async def test_a_result_that_is_not_announced_does_not_count(queue: JobQueue) -> None:
    await queue.finish("a", b"x" * 100, token=None, reply="second:done")
    await queue.finish("b", b"x" * 100, token="t", reply=None)
    assert await queue.unpersisted_result_bytes() == 0


async def test_a_producer_that_never_lowers_its_count_does_not_stop_parsers_for_good(
    redis: aioredis.Redis, queue: JobQueue
) -> None:
    await queue.finish("a", b"x" * 100, token="t", reply="second:done")
    assert await queue.unpersisted_result_bytes() == 100
    await redis.lpop("second:done")
    assert await queue.unpersisted_result_bytes() == 0


async def test_the_apis_results_count_although_its_worker_took_their_announcements(
    redis: aioredis.Redis, queue: JobQueue
) -> None:
    await queue.finish(1, b"x" * 100, token="t", reply=KEYS.api_reply_list)
    await redis.lpop(KEYS.api_reply_list)
    assert await queue.unpersisted_result_bytes() == 100


async def test_a_key_that_a_producer_spoils_counts_as_nothing(
    redis: aioredis.Redis, queue: JobQueue
) -> None:
    await queue.finish("a", b"x" * 100, token="t", reply="second:done")
    await queue.finish("b", b"x" * 100, token="t", reply="third:done")
    await redis.set(unpersisted_bytes_key("second:done"), "many")
    await redis.delete(unpersisted_bytes_key("third:done"))
    await redis.rpush(unpersisted_bytes_key("third:done"), "many")
    assert await queue.unpersisted_result_bytes() == 0


async def test_a_producer_with_a_list_for_each_job_does_not_fill_the_parser(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_lists, "MAX_COUNTED_REPLY_LISTS", 3)
    for n in range(10):
        await queue.finish(f"job-{n}", b"x" * 10, token="t", reply=f"done-{n}")
    assert await queue.unpersisted_result_bytes() == 30
