"""What is ahead of Redis's clock counts for nothing: it was set back, or somebody else wrote it."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis
from kombu.simple import SimpleQueue

from api_service.celery_app import API_QUEUE, broker_options, celery_app
from api_service.config import Settings
from api_service.queueing.enqueue import TaskSender
from tests.support.keys import (
    CELERY_UNACKED_INDEX,
    DONE,
    ENDED_LEASES,
    LEASES,
    QUEUE,
    TAKERS,
    taken_key,
)
from tests.support.pipeline_steps import PipelineSteps
from tests.support.time_travel import older_keys

FAR_AWAY = [9e15, 1e300, float("inf")]
HOUR = 3600
PARSERS, WORKERS = f"{QUEUE}:parsers", f"{QUEUE}:workers"


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.mark.parametrize("score", FAR_AWAY)
async def test_a_heartbeat_ahead_is_nobodys(
    steps: PipelineSteps, raw: aioredis.Redis, score: float
) -> None:
    census = steps.context.census
    for key in (PARSERS, WORKERS):
        await raw.zadd(key, {"ghost": score})
    assert await census.count_alive_parsers_and_workers() == (0, 0)
    await census.record_heartbeat()
    await steps.parser.record_heartbeat()
    assert await census.count_alive_parsers_and_workers() == (1, 1)
    assert [await raw.zcard(key) for key in (PARSERS, WORKERS)] == [1, 1]


@pytest.mark.parametrize("score", FAR_AWAY)
async def test_a_lease_ahead_is_dropped(
    steps: PipelineSteps, raw: aioredis.Redis, score: float
) -> None:
    await raw.zadd(LEASES, {"somebody's": score})
    await raw.zadd(ENDED_LEASES, {"somebody's": score})
    await steps.later(0)
    await steps.later(6)
    assert not await raw.exists(LEASES, ENDED_LEASES)


async def test_after_a_clock_was_set_back_the_jobs_of_the_living_stay_and_those_of_the_dead_return(
    steps: PipelineSteps, raw: aioredis.Redis
) -> None:
    living, dead = await steps.start(), await steps.start()
    tokens = {job["id"]: job["token"] for job in (await steps.take(), await steps.take())}
    await older_keys(raw, -HOUR)
    died = 0
    for _ in range(3):
        await steps.parser.renew_leases([tokens[living]])
        died += (await steps.later(6)).died
    assert died == 1
    assert await steps.listed() == [dead]


@pytest.mark.parametrize("score", FAR_AWAY)
async def test_what_a_taker_ahead_has_returns(
    steps: PipelineSteps, raw: aioredis.Redis, score: float
) -> None:
    await raw.zadd(TAKERS, {"ghost": score})
    await raw.rpush(taken_key("ghost"), '{"id":7,"token":"7-a"}')
    assert await steps.context.results.return_announcements_of_dead_workers() == 1
    assert await raw.llen(DONE) == 1
    assert not await raw.exists(TAKERS)


@pytest.mark.parametrize("score", FAR_AWAY)
def test_a_celery_message_taken_ahead_returns(redis_url: str, score: float) -> None:
    settings = Settings(redis_url=redis_url)
    sender = TaskSender(celery_app, timeout=5, broker_options=broker_options(settings))
    sender.send("a.task", queue=API_QUEUE)
    sender.disconnect()
    with celery_app.connection_for_read(transport_options=broker_options(settings)) as connection:
        queue = SimpleQueue(connection, API_QUEUE)
        queue.get(timeout=5)
        channel = queue.channel
        (tag,) = channel.client.zrange(CELERY_UNACKED_INDEX, 0, -1)
        channel.client.zadd(CELERY_UNACKED_INDEX, {tag: score})
        channel.qos.restore_visible(interval=1)
        assert channel.client.llen(API_QUEUE) == 1
        assert not channel.client.exists(CELERY_UNACKED_INDEX)
