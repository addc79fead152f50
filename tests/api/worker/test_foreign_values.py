"""Whatever stands under a request's key costs that request only, and no time of the others."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest
import redis.asyncio as aioredis
from sqlalchemy import text

from api_service.assembly.worker import WorkerContext, open_worker
from api_service.config import Settings
from api_service.database import Database
from api_service.exceptions import UnstorableError
from api_service.page.facts import Metadata
from api_service.parser_client.messages import SuccessResult
from api_service.worker.result_loop import build_result_loop
from tests.support.keys import DONE, QUEUE, result_key
from tests.support.pipeline_steps import PipelineSteps
from tests.support.rows import add_request
from tests.support.waiting import until

PAGE = (
    '{"status":"success","title":"A","html":"<p>","token":"%s","metadata":{"json_ld":[{"x":%s}]}}'
)
DEPTHS = (190, 200, 220, 260, 500, 1000, 5000, 100_000)
UNREADABLE = ("", "7", "no JSON", "12\n{}<p>", "[" * 100_000, '{"status":"success"', '{"status":1}')


@pytest.fixture
async def jobs(settings: Settings) -> AsyncIterator[WorkerContext]:
    async with open_worker(settings.model_copy(update={"max_attempts": 1})) as context:
        yield context


async def _started(
    database: Database, jobs: WorkerContext, redis: aioredis.Redis
) -> dict[str, str]:
    async with database.transaction() as session:
        request_id = await add_request(session)
    await jobs.handover.hand_over_pending([request_id])
    job: dict[str, str] = json.loads(str(await redis.lpop(QUEUE)))
    return job


@asynccontextmanager
async def _persisting(jobs: WorkerContext) -> AsyncIterator[None]:
    loop = build_result_loop(jobs)
    task = asyncio.create_task(loop.run())
    yield
    loop.request_stop()
    await task


async def _statuses(connection: asyncpg.Connection) -> dict[int, str]:
    rows = await connection.fetch("SELECT id, status, error->>'code' AS code FROM parse_requests")
    return {row["id"]: row["code"] or row["status"] for row in rows}


async def _announce(redis: aioredis.Redis, job: dict[str, str]) -> None:
    await redis.rpush(DONE, json.dumps({"id": job["id"], "token": job["token"], "bytes": 100}))


async def test_results_of_any_kind_end_their_requests_and_nothing_else(
    jobs: WorkerContext,
    database: Database,
    connection: asyncpg.Connection,
    redis: aioredis.Redis,
    client: httpx.AsyncClient,
) -> None:
    expected: dict[int, str] = {}

    async def job_that_ends(outcome: str) -> dict[str, str]:
        job = await _started(database, jobs, redis)
        expected[int(job["id"])] = outcome
        return job

    announced = []
    for levels in DEPTHS:
        job = await job_that_ends("success")
        nested = "[" * levels + "]" * levels
        await redis.set(result_key(job["id"]), PAGE % (job["token"], nested))
        announced.append(job)
    for value in UNREADABLE:
        job = await job_that_ends("internal_error")
        await redis.set(result_key(job["id"]), value)
        announced.append(job)
    for write in (redis.hset, redis.zadd):
        job = await job_that_ends("internal_error")
        await write(result_key(job["id"]), mapping={"a": 1})
        announced.append(job)
    unannounced = await job_that_ends("internal_error")
    await redis.rpush(result_key(unannounced["id"]), "a list")
    for _ in range(3):
        job = await job_that_ends("success")
        await redis.set(result_key(job["id"]), PAGE % (job["token"], 1))
        announced.append(job)
    for job in announced:
        await _announce(redis, job)
    async with _persisting(jobs):

        async def all_ended() -> bool:
            return await _statuses(connection) == expected

        await until(all_ended, seconds=5)
    assert not await redis.keys(result_key("*"))
    for request_id, outcome in expected.items():
        answer = await client.get(f"/result/{request_id}")
        assert answer.status_code == 200
        error = answer.json()["error"]
        assert (error["code"] if error else answer.json()["status"]) == outcome


async def test_an_unreadable_result_without_announcement_ends_its_request_after_a_sweep(
    steps: PipelineSteps, connection: asyncpg.Connection, redis: aioredis.Redis
) -> None:
    request_id = await steps.start()
    await redis.delete(QUEUE)
    await redis.set(result_key(request_id), "42 half written")
    assert (await steps.later(6)).announced == 1
    await steps.persist()
    assert await _statuses(connection) == {request_id: "internal_error"}


async def test_a_page_that_has_no_form_in_json_fails_and_its_neighbour_does_not(
    jobs: WorkerContext,
    database: Database,
    connection: asyncpg.Connection,
    redis: aioredis.Redis,
) -> None:
    bad, good = [await _started(database, jobs, redis) for _ in range(2)]
    value: object = 1
    for _ in range(1000):
        value = [value]
    deep = Metadata.model_construct(json_ld=[{"x": value}])
    page = SuccessResult(status="success", title="A", html="<p>")
    await jobs.endings.record(
        {
            int(bad["id"]): page.model_copy(update={"token": bad["token"], "metadata": deep}),
            int(good["id"]): page.model_copy(update={"token": good["token"]}),
        }
    )
    assert await _statuses(connection) == {
        int(bad["id"]): "internal_error",
        int(good["id"]): "success",
    }


async def test_a_value_beyond_a_limit_of_the_database_is_not_an_outage(
    database: Database,
) -> None:
    with pytest.raises(UnstorableError):
        async with database.transaction() as session:
            await session.execute(text("SELECT CAST(:value AS jsonb)"), {"value": "[" * 50_000})


@pytest.mark.parametrize("levels", [100, 200, 220, 500, 1000, 3000])
async def test_a_row_that_holds_deep_json_answers(
    client: httpx.AsyncClient, connection: asyncpg.Connection, levels: int
) -> None:
    nested = "[" * levels + "]" * levels
    facts = f'{{"charset":"utf-8","metadata":{{"language":"en","json_ld":[{{"x":{nested}}}]}}}}'
    request_id = await connection.fetchval(
        "INSERT INTO parse_requests (url, status, title, html_content, facts)"
        " VALUES ('https://a.example/', 'success', 'A', '<p>', $1) RETURNING id",
        facts,
    )
    answer = await client.get(f"/result/{request_id}")
    assert answer.status_code == 200
    assert answer.json()["charset"] == "utf-8"
    assert answer.json()["metadata"]["language"] == "en"


@pytest.mark.parametrize(
    ("facts", "error"),
    [("[]", "[]"), ("1", "1"), ('{"metadata":7}', "{}"), ('{"bytes":"x"}', '{"code":{}}')],
)
async def test_a_row_that_holds_anything_answers(
    client: httpx.AsyncClient, connection: asyncpg.Connection, facts: str, error: str
) -> None:
    request_id = await connection.fetchval(
        "INSERT INTO parse_requests (url, status, facts, error)"
        " VALUES ('https://a.example/', 'failure', $1, $2) RETURNING id",
        facts,
        error,
    )
    answer = await client.get(f"/result/{request_id}")
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] == "internal_error"
