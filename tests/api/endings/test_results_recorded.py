"""The worker's use cases on a real database and Redis."""

import json
from itertools import product
from typing import assert_never

import asyncpg
import pytest
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext, open_worker
from api_service.config import Settings
from api_service.database import Database
from api_service.endings.attempts import FailedAttempt, RetryPolicy, SucceededAttempt
from api_service.endings.repository import EndingRepository
from api_service.page.facts import ErrorFacts, PageFacts
from api_service.parser_client.messages import FailureResult, SuccessResult
from api_service.queueing.repository import QueueRepository
from api_service.status_enum import LEGAL_MOVES, StatusEnum, origins_of
from tests.support.keys import DONE, QUEUE
from tests.support.rows import add_request

SUCCESS = SuccessResult(status="success", title="A", html="<title>A</title>")
FAILURE = FailureResult(status="failure", error="No.")
POLICY = RetryPolicy(max_attempts=3, base_delay=2, max_delay=60)


async def _add(database: Database, url: str = "https://example.com/") -> int:
    async with database.transaction() as session:
        return await add_request(session, url, trace_id="t")


async def _row(connection: asyncpg.Connection, request_id: int) -> asyncpg.Record:
    return await connection.fetchrow("SELECT * FROM parse_requests WHERE id = $1", request_id)


async def test_a_started_request_is_on_the_parsers_list(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection, redis_url: str
) -> None:
    first, second = await _add(database, "https://a.example/"), await _add(database)
    await jobs.handover.hand_over_pending([first])
    await jobs.handover.hand_over_pending([second])
    async with aioredis.Redis.from_url(redis_url) as redis:
        messages = [json.loads(raw) for raw in await redis.lrange(QUEUE, 0, -1)]
    row = await _row(connection, first)
    assert row["status"] == "processing"
    assert [message["id"] for message in messages] == [first, second]
    assert messages[0] == {
        "id": first,
        "url": "https://a.example/",
        "token": row["token"],
        "reply": DONE,
        "trace": "t",
        "html_apart": True,
    }


async def test_a_doubled_task_pushes_once(
    jobs: WorkerContext, database: Database, redis_url: str
) -> None:
    request_id = await _add(database)
    await jobs.handover.hand_over_pending([request_id])
    await jobs.handover.hand_over_pending([request_id])
    async with aioredis.Redis.from_url(redis_url) as redis:
        assert await redis.llen(QUEUE) == 1


async def test_a_task_without_a_row_does_nothing(jobs: WorkerContext, redis_url: str) -> None:
    await jobs.handover.hand_over_pending([12345])
    async with aioredis.Redis.from_url(redis_url) as redis:
        assert await redis.llen(QUEUE) == 0


@pytest.mark.parametrize(("first", "then"), [(SUCCESS, FAILURE), (FAILURE, SUCCESS)])
async def test_a_final_status_stays(
    jobs: WorkerContext,
    database: Database,
    connection: asyncpg.Connection,
    first: SuccessResult | FailureResult,
    then: SuccessResult | FailureResult,
) -> None:
    request_id = await _add(database)
    await jobs.handover.hand_over_pending([request_id])
    await jobs.endings.record({request_id: first})
    ended = await _row(connection, request_id)
    await jobs.endings.record({request_id: then})
    await jobs.endings.record({request_id: first})
    await jobs.handover.hand_over_pending([request_id])
    assert await _row(connection, request_id) == ended


async def test_only_the_attempt_under_way_counts(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    request_id = await _add(database)
    await jobs.handover.hand_over_pending([request_id])
    late = SUCCESS.model_copy(update={"token": "of-another-attempt"})
    await jobs.endings.record({request_id: late})
    row = await _row(connection, request_id)
    assert row["status"] == "processing"
    await jobs.endings.record({request_id: late.model_copy(update={"token": row["token"]})})
    assert (await _row(connection, request_id))["status"] == "success"


async def test_a_result_that_the_database_does_not_take_holds_up_no_other(
    settings: Settings, database: Database, connection: asyncpg.Connection
) -> None:
    async with open_worker(settings.model_copy(update={"max_attempts": 1})) as jobs:
        ids = [await _add(database) for _ in range(4)]
        await jobs.handover.hand_over_pending(ids)
        # Nothing that was read from a message is like these; a mistake of ours could be.
        nul = SUCCESS.model_copy(update={"title": "\0"})
        surrogate = SUCCESS.model_copy(update={"html": "\ud800"})
        nul_in_facts = SUCCESS.model_copy(update={"final_url": "\0"})
        results = (nul, SUCCESS, surrogate, nul_in_facts)
        await jobs.endings.record(dict(zip(ids, results, strict=True)))
    statuses = [(await _row(connection, request_id))["status"] for request_id in ids]
    assert statuses == ["failure", "success", "failure", "failure"]


@pytest.mark.parametrize("origin", StatusEnum)
@pytest.mark.parametrize("goal", StatusEnum)
async def test_the_sql_makes_legal_moves_only(
    database: Database, connection: asyncpg.Connection, origin: StatusEnum, goal: StatusEnum
) -> None:
    request_id = await _add(database)
    await connection.execute(
        "UPDATE parse_requests SET status = $1 WHERE id = $2", origin, request_id
    )
    async with database.transaction() as session:
        match goal:
            case StatusEnum.PENDING:
                moved = False  # no move leads back, so no method does
            case StatusEnum.PROCESSING:
                moved = bool(await QueueRepository(session).mark_processing([request_id]))
            case StatusEnum.SUCCESS:
                ended = SucceededAttempt(request_id, None, title="", html="", facts=PageFacts())
                moved = bool(await EndingRepository(session).mark_success([ended]))
            case StatusEnum.FAILURE:
                error = ErrorFacts(code="timeout", message="It took too long.")
                failed = FailedAttempt(request_id, None, error=error, retry_after=None)
                repository = EndingRepository(session)
                moved = bool(await repository.mark_attempts_failed([failed], POLICY))
            case _:
                assert_never(goal)
    assert moved is (goal in LEGAL_MOVES[origin])
    assert (await _row(connection, request_id))["status"] == (goal if moved else origin)


def test_the_moves_backwards_are_the_moves_forwards() -> None:
    for origin, goal in product(StatusEnum, StatusEnum):
        assert (origin in origins_of(goal)) == (goal in LEGAL_MOVES[origin])
