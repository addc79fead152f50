"""A result that is too large fails its own request, is never read, and holds up no other."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from api_service.assembly.worker import open_worker
from api_service.config import Settings
from api_service.parser_client import results as results_module
from api_service.parser_client.keys import Keys
from api_service.parser_client.messages import UnreadableResult
from api_service.parser_client.results import ResultStore
from api_service.worker.result_loop import build_result_loop
from tests.support.keys import DONE, QUEUE, RESULTS, result_key
from tests.support.pipeline_steps import PipelineSteps
from tests.support.time_travel import pass_time
from tests.support.waiting import until

LIMIT = 20_000
LARGE = json.dumps({"status": "success", "title": "A", "html": "x" * LIMIT})
SMALL = {"status": "success", "title": "A", "html": "<p>"}


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


async def _bytes_sent(redis: aioredis.Redis) -> int:
    return int((await redis.info("stats"))["total_net_output_bytes"])


async def test_what_is_too_large_stays_in_redis(raw: aioredis.Redis) -> None:
    store = ResultStore(raw, Keys(QUEUE, RESULTS), name="one", largest=LIMIT)
    await raw.set(result_key(1), LARGE)
    await raw.set(result_key(2), b"30000\n{" + b" " * 30_000)
    await raw.set(result_key(3), json.dumps(SMALL))
    await raw.set(result_key(4), b"")
    before = await _bytes_sent(raw)
    found = await store.read([1, 2, 3, 4, 5])
    tokens = await store.stored_tokens([1, 2, 3, 4, 5])
    assert await _bytes_sent(raw) - before < LIMIT / 2
    assert [isinstance(found.get(i), UnreadableResult) for i in range(1, 6)] == [
        *(True, True, False, True, False)
    ]
    reason = found[1].reason  # type: ignore[union-attr]
    assert reason is not None
    assert (reason.code, reason.retryable) == ("too_large", False)
    assert tokens == {1: None, 2: None}


async def test_results_are_read_in_portions_whatever_was_announced(
    raw: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "PORTION_BYTES", 250)
    store = ResultStore(raw, Keys(QUEUE, RESULTS), name="one")
    for number in range(1, 6):
        await raw.set(result_key(number), "x" * 100)
    assert [list(portion) async for portion in store.read_in_portions([1, 2, 3, 4, 5])] == [
        *([1, 2], [3, 4], [5])
    ]


@pytest.mark.parametrize("way", ["announced", "announced as small", "found", "lost"])
async def test_a_request_with_a_result_that_is_too_large_fails_and_its_neighbours_do_not(
    settings: Settings, steps: PipelineSteps, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    large, small = await steps.start(), await steps.start()
    jobs = {job["id"]: job for job in [json.loads(await steps.pop()) for _ in range(2)]}
    token = {"token": jobs[large]["token"]}
    value = json.loads(LARGE) | ({} if way == "found" else token)
    await steps.redis.set(result_key(large), json.dumps(value))
    await steps.redis.set(result_key(small), json.dumps(SMALL | {"token": jobs[small]["token"]}))
    if way.startswith("announced"):
        size = 10 if "small" in way else len(LARGE)
        await steps.redis.rpush(DONE, json.dumps({"id": large, **token, "bytes": size}))
    await steps.redis.rpush(DONE, json.dumps({"id": small, "token": jobs[small]["token"]}))
    async with open_worker(settings.model_copy(update={"largest_result_bytes": LIMIT})) as worker:
        if way == "lost":
            await pass_time(steps.connection, steps.redis, 6)
            swept = await worker.sweep.run()
            assert swept is not None
            assert swept.announced == 1
        loop = build_result_loop(worker)
        running = asyncio.create_task(loop.run())
        await until(lambda: _is_failure(steps, large))
        loop.request_stop()
        await running
    assert (await steps.row(small))["status"] == "success"
    assert json.loads((await steps.row(large))["error"])["code"] == "too_large"
    assert not await steps.redis.exists(result_key(large))
    lines = [line for line in capsys.readouterr().out.splitlines() if "too large" in line]
    assert len(lines) == (2 if way == "lost" else 1)  # the look has one of its own
    assert str(len(json.dumps(value))) in lines[0]


async def _is_failure(steps: PipelineSteps, request_id: int) -> bool:
    return bool((await steps.row(request_id))["status"] == "failure")
