"""The count of bytes that stops parsers is right again when nothing waits, whatever it was."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from api_service.parser_client.keys import Keys
from api_service.parser_client.results import ResultStore
from parser_service.redis_queue.job_queue import JobQueue
from tests.support.keys import DONE, DONE_BYTES, QUEUE, RESULTS, TAKERS, taken_key
from tests.support.pipeline_steps import PipelineSteps

A_LOT = 10**9
RESULT = b"x" * 1000


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def store(raw: aioredis.Redis) -> ResultStore:
    return ResultStore(raw, Keys(QUEUE, RESULTS), name="one")


async def _take_and_acknowledge(store: ResultStore) -> int:
    taken = await store.fill_up_taken_announcements(limit=9, max_bytes=A_LOT)
    await store.acknowledge(taken, [])
    return len(taken)


@pytest.mark.parametrize("job_id", ["job-1", -1, 2**63])
async def test_results_of_foreign_ids_are_counted_out_again(
    store: ResultStore, parser: JobQueue, raw: aioredis.Redis, job_id: int | str
) -> None:
    await parser.finish(3, RESULT, token="3-a", reply=DONE)
    await parser.finish(job_id, RESULT, token="a", reply=DONE)
    assert await raw.get(DONE_BYTES) == b"2000"
    # So that a count below 0, which is deleted, would show.
    await raw.incrby(DONE_BYTES, 77)
    assert await _take_and_acknowledge(store) == 2
    assert await raw.get(DONE_BYTES) == b"77"


@pytest.mark.parametrize(
    "announcement",
    [
        b'{"id":"x","token":"\\ud800","bytes":50}',
        b'{"id":1,"bytes":50}',
        b'{"id":1.5,"token":7,"bytes":50}',
    ],
)
async def test_what_is_set_aside_keeps_its_size(
    store: ResultStore, raw: aioredis.Redis, announcement: bytes
) -> None:
    await raw.rpush(DONE, announcement)
    await raw.set(DONE_BYTES, 80)
    await _take_and_acknowledge(store)
    assert await raw.get(DONE_BYTES) == b"30"


@pytest.mark.parametrize("size", [b"NaN", b"-1e300", b'"x"', b"1e300", b"Infinity", b"null"])
async def test_sizes_that_are_none_count_as_nothing(
    store: ResultStore, raw: aioredis.Redis, size: bytes
) -> None:
    await raw.rpush(DONE, *[b'{"id":"x","token":"","bytes":%b}' % size] * 2)
    await raw.rpush(DONE, *[b'{"id":1,"token":"1-a","bytes":600}'] * 4)
    await raw.set(DONE_BYTES, 2400)
    while taken := await store.fill_up_taken_announcements(limit=9, max_bytes=1000):
        assert sum(one.bytes for one in taken) <= 1000
        await store.acknowledge(taken, [])
    assert not await raw.exists(DONE_BYTES)


@pytest.mark.parametrize("count", ["1000000000000", "1e12", "words"])
async def test_a_wrong_count_is_gone_after_a_sweep_when_nothing_waits(
    steps: PipelineSteps, raw: aioredis.Redis, count: str
) -> None:
    await steps.persist()
    await raw.set(DONE_BYTES, count)
    await steps.later(0)
    assert not await raw.exists(DONE_BYTES)


async def test_a_count_stays_while_anything_is_announced_or_taken(
    steps: PipelineSteps, store: ResultStore, raw: aioredis.Redis
) -> None:
    await steps.parser.finish(3, RESULT, token="3-a", reply=DONE)
    await steps.later(0)
    assert await raw.get(DONE_BYTES) == b"1000"
    await store.fill_up_taken_announcements(limit=9, max_bytes=A_LOT)
    assert await raw.exists(taken_key("one"), TAKERS) == 2
    await steps.later(0)
    assert await raw.get(DONE_BYTES) == b"1000"
    await _take_and_acknowledge(store)
    assert not await raw.exists(DONE_BYTES)
