"""The loop that persists results, on a real database and Redis."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext, open_worker
from api_service.config import Settings
from api_service.database import Database
from api_service.worker.result_loop import ResultLoop, build_result_loop
from tests.support.keys import DONE, QUEUE, result_key
from tests.support.rows import add_request
from tests.support.servers import dsn
from tests.support.waiting import until


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@contextlib.asynccontextmanager
async def _running(jobs: WorkerContext) -> AsyncIterator[ResultLoop]:
    loop = build_result_loop(jobs)
    task = asyncio.create_task(loop.run())
    yield loop
    loop.request_stop()
    await task


async def _start(database: Database, jobs: WorkerContext, redis: aioredis.Redis) -> dict[str, str]:
    """A request that a parser has just taken; returns its message."""
    async with database.transaction() as session:
        request_id = await add_request(session, "https://a.example/")
    await jobs.handover.hand_over_pending([request_id])
    message: dict[str, str] = json.loads(str(await redis.lpop(QUEUE)))
    return message


async def _statuses(database_url: str) -> list[str]:
    connection = await asyncpg.connect(dsn(database_url))
    rows = await connection.fetch("SELECT status FROM parse_requests ORDER BY id")
    await connection.close()
    return [row["status"] for row in rows]


async def _store(redis: aioredis.Redis, job: dict[str, str], *, token: str | None) -> None:
    result = {"status": "success", "title": "A", "html": "<p>"}
    if token:
        result["token"] = token
    await redis.set(result_key(job["id"]), json.dumps(result))


async def test_an_announced_result_is_persisted_and_forgotten(
    jobs: WorkerContext, database: Database, database_url: str, redis: aioredis.Redis
) -> None:
    started = [await _start(database, jobs, redis) for _ in range(3)]
    async with _running(jobs):
        for job in started:
            await _store(redis, job, token=job["token"])
            await redis.rpush(DONE, json.dumps({"id": job["id"], "token": job["token"]}))
        await until(lambda: _all_in(database_url, "success"), seconds=0.9)
        await until(lambda: _is_empty(redis))


async def _all_in(database_url: str, status: str) -> bool:
    return set(await _statuses(database_url)) == {status}


async def _is_empty(redis: aioredis.Redis) -> bool:
    return not await redis.keys(result_key("*")) and not await redis.exists(DONE)


async def test_a_result_that_nobody_announced_is_found(
    jobs: WorkerContext, database: Database, database_url: str, redis: aioredis.Redis
) -> None:
    job = await _start(database, jobs, redis)
    async with _running(jobs):
        await _store(redis, job, token=None)
        await until(lambda: _all_in(database_url, "success"), seconds=3)
        await until(lambda: _is_empty(redis))


async def test_a_result_of_another_attempt_changes_nothing(
    jobs: WorkerContext, database: Database, database_url: str, redis: aioredis.Redis
) -> None:
    job = await _start(database, jobs, redis)
    async with _running(jobs):
        await _store(redis, job, token="another")
        await redis.rpush(DONE, json.dumps({"id": job["id"], "token": "another"}))
        await redis.rpush(DONE, "nonsense", '{"id": "x", "token": 1}', "[]")
        await redis.set(result_key(2**63), json.dumps({"status": "failure", "token": "t"}))
        await redis.rpush(DONE, json.dumps({"id": 2**63, "token": "t"}))
        await until(lambda: _drained(redis))
        await asyncio.sleep(1.2)  # the search for unannounced results also leaves it alone
        assert await _statuses(database_url) == ["processing"]
        await _store(redis, job, token=job["token"])
        await redis.rpush(DONE, json.dumps({"id": job["id"], "token": job["token"]}))
        await until(lambda: _all_in(database_url, "success"))


async def _drained(redis: aioredis.Redis) -> bool:
    return await redis.llen(DONE) == 0


@pytest.mark.parametrize("value", ["nonsense", "{}", '{"status": "success"}', "\x00"])
async def test_a_result_that_is_none_is_a_failure(
    settings: Settings,
    database: Database,
    database_url: str,
    redis: aioredis.Redis,
    value: str,
) -> None:
    async with open_worker(settings.model_copy(update={"max_attempts": 1})) as jobs:
        job = await _start(database, jobs, redis)
        async with _running(jobs):
            await redis.set(result_key(job["id"]), value)
            await until(lambda: _all_in(database_url, "failure"), seconds=3)


async def test_a_stop_drains_what_was_announced(
    jobs: WorkerContext, database: Database, database_url: str, redis: aioredis.Redis
) -> None:
    started = [await _start(database, jobs, redis) for _ in range(3)]
    for job in started:
        await _store(redis, job, token=job["token"])
        await redis.rpush(DONE, json.dumps({"id": job["id"], "token": job["token"]}))
    async with _running(jobs) as loop:
        loop.request_stop()
    assert await _statuses(database_url) == ["success"] * 3


async def test_a_foreign_result_with_nul_in_it_is_stored(
    jobs: WorkerContext, database: Database, database_url: str, redis: aioredis.Redis
) -> None:
    job = await _start(database, jobs, redis)
    result = {"status": "success", "title": "a\0b\ud800", "html": "\0\udfff<p>"}
    async with _running(jobs):
        await redis.set(result_key(job["id"]), json.dumps(result))
        await until(lambda: _all_in(database_url, "success"), seconds=3)
    connection = await asyncpg.connect(dsn(database_url))
    row = await connection.fetchrow("SELECT title, html_content FROM parse_requests")
    await connection.close()
    assert tuple(row) == ("a\ufffdb\ufffd", "\ufffd\ufffd<p>")


async def test_a_late_announcement_leaves_the_result_of_the_current_attempt(
    jobs: WorkerContext, database: Database, database_url: str, redis: aioredis.Redis
) -> None:
    job = await _start(database, jobs, redis)
    await _store(redis, job, token=job["token"])
    await redis.rpush(DONE, json.dumps({"id": job["id"], "token": "another"}))
    async with _running(jobs) as loop:
        loop.request_stop()
    assert await _drained(redis)
    assert await _statuses(database_url) == ["processing"]
    await redis.rpush(DONE, json.dumps({"id": job["id"], "token": job["token"]}))
    async with _running(jobs) as loop:
        loop.request_stop()
    assert await _statuses(database_url) == ["success"]


async def test_a_result_with_the_token_of_another_request_is_left_alone(
    jobs: WorkerContext, database: Database, database_url: str, redis: aioredis.Redis
) -> None:
    first, second = [await _start(database, jobs, redis) for _ in range(2)]
    await _store(redis, first, token=first["token"])
    await _store(redis, second, token=first["token"])
    for job in (first, second):
        await redis.rpush(DONE, json.dumps({"id": job["id"], "token": job["token"]}))
    async with _running(jobs):
        await until(lambda: _drained(redis))
    assert await _statuses(database_url) == ["success", "processing"]
    assert await redis.keys(result_key("*")) == [result_key(second["id"])]
