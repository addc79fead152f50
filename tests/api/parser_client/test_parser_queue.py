"""How announced results are taken, let go of and given back; also where Redis is in trouble."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis
from redis.exceptions import RedisError

from api_service.config import Settings
from api_service.parser_client.messages import Announcement
from api_service.parser_client.queue import ParserQueue
from api_service.worker.context import open_worker_context
from local.servers import Valkey
from parser_service import config as parser_config
from parser_service.dependencies import job_queue
from tests.support.pipeline_steps import DONE, QUEUE, PipelineSteps
from tests.support.time_travel import older_keys
from tests.support.waiting import until

BYTES = f"{DONE}:bytes"
A_LOT = 10**9


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


def _queue(client: aioredis.Redis, name: str) -> ParserQueue:
    return ParserQueue(client, name=name, task_queue=QUEUE, result_prefix="parser:results:")


async def _announce(redis: aioredis.Redis, *numbers: int, size: int = 100) -> None:
    for number in numbers:
        announcement = Announcement(id=number, token=f"{number}-token", bytes=size)
        await redis.rpush(DONE, announcement.model_dump_json())
        await redis.incrby(BYTES, size)
        await redis.set(f"parser:results:{number}", "x" * size)


def _ids(announcements: list[Announcement]) -> list[int]:
    return [announcement.id for announcement in announcements]


async def test_what_was_taken_is_no_others_until_it_is_let_go_of(raw: aioredis.Redis) -> None:
    one, other = _queue(raw, "one"), _queue(raw, "other")
    await _announce(raw, 1, 2, 3, 4)
    taken = await one.take(most=2, most_bytes=A_LOT)
    assert _ids(taken) == [1, 2]
    assert _ids(await other.take(most=9, most_bytes=A_LOT)) == [3, 4]
    assert _ids(await one.take(most=9, most_bytes=A_LOT)) == [1, 2]  # the same until then
    await one.release(taken, [1])
    assert await one.take(most=9, most_bytes=A_LOT) == []
    assert await raw.exists(*(f"parser:results:{number}" for number in (1, 2, 3, 4))) == 3
    assert await raw.get(BYTES) == b"200"


async def test_a_batch_is_bounded_in_bytes_but_never_empty(raw: aioredis.Redis) -> None:
    queue = _queue(raw, "one")
    await _announce(raw, 1, 2, 3, size=1000)
    for number in (1, 2, 3):
        taken = await queue.take(most=9, most_bytes=500)
        assert _ids(taken) == [number]
        await queue.release(taken, [number])
    await _announce(raw, 4, 5, 6, size=1000)
    assert _ids(await queue.take(most=9, most_bytes=2000)) == [4, 5]


async def test_what_a_dead_taker_had_is_first_in_line_again_and_in_order(
    raw: aioredis.Redis,
) -> None:
    dead, living = _queue(raw, "dead"), _queue(raw, "living")
    await _announce(raw, 1, 2, 3, 4)
    await dead.take(most=3, most_bytes=A_LOT)
    await older_keys(raw, 20)
    assert await living.reclaim() == 0
    assert await living.take(most=0, most_bytes=A_LOT) == []  # it shows that it lives
    await older_keys(raw, 20)
    assert await living.reclaim() == 3
    assert _ids(await living.take(most=9, most_bytes=A_LOT)) == [1, 2, 3, 4]
    assert await raw.zrange(f"{QUEUE}:takers", 0, -1) == [b"living"]


async def test_a_taker_that_was_thought_dead_does_no_harm(raw: aioredis.Redis) -> None:
    slow, other = _queue(raw, "slow"), _queue(raw, "other")
    await _announce(raw, 1, 2)
    taken = await slow.take(most=9, most_bytes=A_LOT)
    await older_keys(raw, 40)
    assert await other.reclaim() == 2
    await slow.release(taken, [1, 2])
    assert _ids(await other.take(most=9, most_bytes=A_LOT)) == [1, 2]
    assert await other.results([1, 2]) == {}
    await other.release(taken, [])
    assert not await raw.exists(DONE, BYTES)  # what was subtracted twice stays at nothing


async def test_a_turn_is_one_processs_for_its_time(raw: aioredis.Redis) -> None:
    queues = [_queue(raw, str(number)) for number in range(5)]
    claimed = await asyncio.gather(*(queue.try_claim_chore("look", 5) for queue in queues))
    assert sum(claimed) == 1
    assert await queues[0].try_claim_chore("other", 5)
    await older_keys(raw, 4)
    assert not await queues[0].try_claim_chore("look", 5)
    await older_keys(raw, 2)
    assert await queues[1].try_claim_chore("look", 5)


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[str]:
    """A server that a test may fill up or make read-only."""
    server = Valkey(tmp_path, durable=False)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
async def troubled(
    own_valkey: str, settings: Settings, steps: PipelineSteps
) -> AsyncIterator[PipelineSteps]:
    """The way of jobs through a server of the test's own, with a result that is announced."""
    changed = settings.model_copy(update={"redis_url": own_valkey})
    parser_settings = parser_config.Settings(redis_url=own_valkey)
    async with (
        open_worker_context(changed) as context,
        aioredis.Redis.from_url(own_valkey, decode_responses=True) as redis,
        aioredis.Redis.from_url(own_valkey) as client,
    ):
        troubled = PipelineSteps(
            context=context,
            database=steps.database,
            connection=steps.connection,
            redis=redis,
            parser=job_queue(client, parser_settings, name="parser"),
        )
        await troubled.start()
        await troubled.finish(await troubled.take())
        yield troubled


async def _status(steps: PipelineSteps) -> str:
    return str(await steps.connection.fetchval("SELECT status FROM parse_requests"))


async def test_results_are_persisted_and_freed_where_redis_has_no_memory_left(
    troubled: PipelineSteps,
) -> None:
    await troubled.redis.config_set("maxmemory", 1)
    await troubled.persist()
    assert await _status(troubled) == "success"
    await troubled.redis.config_set("maxmemory", 0)
    assert not await troubled.redis.exists(DONE, BYTES, f"{QUEUE}:taken", "parser:results:1")


async def test_results_wait_while_redis_is_read_only(troubled: PipelineSteps) -> None:
    await troubled.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    await troubled.persist()
    with pytest.raises(RedisError):
        await troubled.context.queue.take(most=1, most_bytes=A_LOT)
    assert await _status(troubled) == "processing"
    await troubled.redis.execute_command("REPLICAOF", "NO", "ONE")

    async def is_persisted() -> bool:
        await troubled.persist()
        return await _status(troubled) == "success"

    await until(is_persisted, seconds=30)


async def test_a_job_that_redis_had_no_memory_for_is_pushed_when_it_has_some(
    troubled: PipelineSteps,
) -> None:
    await troubled.persist()
    request_id = await troubled.add()
    await troubled.redis.config_set("maxmemory", 1)
    with pytest.raises(RedisError):
        await troubled.jobs.start([request_id])
    await troubled.redis.config_set("maxmemory", 0)
    await troubled.later(6)
    await troubled.later(46)
    (raw,) = await troubled.redis.lrange(QUEUE, 0, -1)
    assert json.loads(raw)["id"] == request_id
