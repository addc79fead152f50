"""Transient failures are tried again, others and exhausted ones are not."""

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext
from api_service.config import Settings
from api_service.database import Database
from api_service.parser_client.messages import FailureReason, FailureResult, SuccessResult
from tests.support.keys import QUEUE
from tests.support.rows import add_request


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"retry_delay": 4.0, "max_attempts": 3})


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def request_id(jobs: WorkerContext, database: Database) -> int:
    async with database.transaction() as session:
        added = await add_request(session, trace_id="t", options={"title_fallback": True})
    await jobs.handover.hand_over_pending([added])
    return added


def _failure(*, retryable: bool = True, retry_after: float | None = None) -> FailureResult:
    reason = FailureReason(
        code="http_status",
        message="It answered 503.",
        retryable=retryable,
        page_status=503,
        retry_after=retry_after,
    )
    return FailureResult(status="failure", error="It answered 503.", reason=reason)


async def _row(connection: asyncpg.Connection, request_id: int) -> dict[str, Any]:
    query = (
        "SELECT status, attempts, token, error, title,"
        " extract(epoch FROM next_attempt_at - now())::float AS pause"
        " FROM parse_requests WHERE id = $1"
    )
    return dict(await connection.fetchrow(query, request_id))


async def _push_due(jobs: WorkerContext) -> int:
    swept = await jobs.sweep.run()
    assert swept
    return swept.due


async def _make_due(connection: asyncpg.Connection) -> None:
    await connection.execute("UPDATE parse_requests SET next_attempt_at = now()")


async def test_a_transient_failure_waits_for_its_next_attempt(
    jobs: WorkerContext, connection: asyncpg.Connection, redis: aioredis.Redis, request_id: int
) -> None:
    first = json.loads((await redis.lrange(QUEUE, 0, -1))[0])
    await jobs.endings.record({request_id: _failure()})
    row = await _row(connection, request_id)
    assert (row["status"], row["attempts"], row["token"]) == ("processing", 1, None)
    assert 1.5 < row["pause"] <= 4
    assert await _push_due(jobs) == 0
    assert await redis.llen(QUEUE) == 1

    await _make_due(connection)
    assert await _push_due(jobs) == 1
    assert await _push_due(jobs) == 0
    second = json.loads((await redis.lrange(QUEUE, 0, -1))[1])
    assert second == first | {"token": second["token"]}
    assert second["token"] != first["token"]
    row = await _row(connection, request_id)
    assert (row["token"], row["pause"]) == (second["token"], None)


async def test_pauses_double_and_the_last_attempt_decides(
    jobs: WorkerContext, connection: asyncpg.Connection, request_id: int
) -> None:
    for attempt, longest in ((1, 4), (2, 8)):
        await jobs.endings.record({request_id: _failure()})
        row = await _row(connection, request_id)
        assert row["attempts"] == attempt
        assert longest / 2 - 0.5 < row["pause"] <= longest
        await _make_due(connection)
        await _push_due(jobs)
    await jobs.endings.record({request_id: _failure()})
    row = await _row(connection, request_id)
    assert (row["status"], row["attempts"], row["pause"]) == ("failure", 3, None)
    assert json.loads(row["error"]) == {
        "code": "http_status",
        "message": "It answered 503.",
        "retryable": True,
        "page_status": 503,
    }


async def test_a_page_that_comes_late_is_a_success(
    jobs: WorkerContext, connection: asyncpg.Connection, request_id: int
) -> None:
    await jobs.endings.record({request_id: _failure()})
    await _make_due(connection)
    await _push_due(jobs)
    page = SuccessResult(status="success", title="A", html="<p>")
    await jobs.endings.record({request_id: page})
    row = await _row(connection, request_id)
    assert (row["status"], row["attempts"], row["title"]) == ("success", 2, "A")


async def test_a_permanent_failure_is_not_tried_again(
    jobs: WorkerContext, connection: asyncpg.Connection, request_id: int
) -> None:
    await jobs.endings.record({request_id: _failure(retryable=False)})
    row = await _row(connection, request_id)
    assert (row["status"], row["attempts"]) == ("failure", 1)


async def test_what_the_site_asks_for_is_kept(
    jobs: WorkerContext, connection: asyncpg.Connection, request_id: int
) -> None:
    await jobs.endings.record({request_id: _failure(retry_after=30)})
    assert 29 < (await _row(connection, request_id))["pause"] <= 30


async def test_a_site_that_asks_for_too_much_has_failed(
    jobs: WorkerContext, connection: asyncpg.Connection, request_id: int
) -> None:
    await jobs.endings.record({request_id: _failure(retry_after=61)})
    assert (await _row(connection, request_id))["status"] == "failure"


async def test_the_options_reach_the_parser_each_time(
    jobs: WorkerContext, connection: asyncpg.Connection, redis: aioredis.Redis, request_id: int
) -> None:
    await jobs.endings.record({request_id: _failure()})
    await _make_due(connection)
    await _push_due(jobs)
    for raw in await redis.lrange(QUEUE, 0, -1):
        message = json.loads(raw)
        assert message["title_fallback"] is True
        assert "respect_robots" not in message


async def test_a_site_may_ask_for_the_longest_pause_and_for_no_longer_one(
    jobs: WorkerContext, settings: Settings, connection: asyncpg.Connection, request_id: int
) -> None:
    longest = settings.max_retry_delay
    await jobs.endings.record({request_id: _failure(retry_after=longest)})
    row = await _row(connection, request_id)
    assert row["status"] == "processing"
    assert longest - 5 < row["pause"] <= longest
    await _make_due(connection)
    await _push_due(jobs)
    await jobs.endings.record({request_id: _failure(retry_after=longest + 0.001)})
    assert (await _row(connection, request_id))["status"] == "failure"
