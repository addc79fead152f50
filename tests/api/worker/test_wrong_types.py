"""Keys of ours that another program wrote are named in the log, and hold up no other work."""

import asyncio

import pytest
import redis.asyncio as aioredis
import structlog

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.metrics.worker import LAST_SWEEP_TIMESTAMP_SECONDS
from api_service.worker.result_loop import build_result_loop
from tests.support.keys import DONE, ENDED_LEASES, LEASES, TAKERS
from tests.support.pipeline_steps import PipelineSteps
from tests.support.waiting import until

WRONG_TYPE = "key of another type: delete it"


def _last_sweep() -> object:
    """Return what the metric of the last whole sweep shows."""
    (metric,) = LAST_SWEEP_TIMESTAMP_SECONDS.collect()
    return metric.samples


@pytest.mark.parametrize("key", [TAKERS, LEASES, ENDED_LEASES, DONE])
async def test_the_sweep_names_the_key_and_does_its_other_steps(
    steps: PipelineSteps, redis: aioredis.Redis, key: str
) -> None:
    lost = await steps.start()
    await steps.take()
    await redis.delete(LEASES)
    stranded = await steps.add()
    await redis.delete(key)
    await redis.hset(key, "a", "b")
    last_whole_sweep = _last_sweep()
    with structlog.testing.capture_logs() as lines:
        report = await steps.later(6)
    assert report.stranded == 1
    assert _last_sweep() == last_whole_sweep or key == DONE, "no alert fires"
    assert report.suspects == 1, "the last step has not run"
    assert await steps.listed() == [stranded] != [lost]
    assert {line["key"] for line in lines if line["event"] == WRONG_TYPE} == {key}


@pytest.mark.parametrize("key", [TAKERS, DONE])
async def test_the_results_process_names_the_key(
    jobs: WorkerContext, database: Database, redis: aioredis.Redis, key: str
) -> None:
    await redis.hset(key, "a", "b")
    loop = build_result_loop(jobs)

    async def is_named() -> bool:
        return any(line.get("key") == key for line in lines if line["event"] == WRONG_TYPE)

    with structlog.testing.capture_logs() as lines:
        running = asyncio.create_task(loop.run())
        await until(is_named, seconds=5)
        loop.request_stop()
        await running
