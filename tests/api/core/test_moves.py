"""Which moves of a status each statement makes, from every status; nothing else moves a row."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from api_service.database import Database, Session
from api_service.endings.attempts import FailedAttempt, RetryPolicy, SucceededAttempt
from api_service.endings.repository import EndingRepository
from api_service.page.facts import ErrorFacts, PageFacts
from api_service.queueing.repository import QueueRepository
from api_service.status_enum import StatusEnum

PENDING, PROCESSING, SUCCESS, FAILURE = StatusEnum
ID, TOKEN = 1, "1-token"
POLICY = RetryPolicy(max_attempts=3, base_delay=2, max_delay=60)
LAST = RetryPolicy(max_attempts=1, base_delay=2, max_delay=60)
ERROR = ErrorFacts(code="timeout", message="Slow.")

Mark = Callable[[Session], Awaitable[Any]]


def _success(token: str | None) -> Mark:
    ended = SucceededAttempt(ID, token, title="A", html="<p>", facts=PageFacts())
    return lambda session: EndingRepository(session).mark_success([ended])


def _failed(token: str | None, policy: RetryPolicy, retry_after: float | None) -> Mark:
    failed = FailedAttempt(ID, token, error=ERROR, retry_after=retry_after)
    return lambda session: EndingRepository(session).mark_attempts_failed([failed], policy)


# Each with the one status that it moves a row from, and where to.
MARKS: dict[str, tuple[Mark, StatusEnum, StatusEnum]] = {
    "mark_processing": (lambda s: QueueRepository(s).mark_processing([ID]), PENDING, PROCESSING),
    "claim_stale_pending": (
        lambda s: QueueRepository(s).claim_stale_pending(age=1, limit=9),
        PENDING,
        PROCESSING,
    ),
    "claim_due_retries": (
        lambda s: QueueRepository(s).claim_due_retries(limit=9),
        PROCESSING,
        PROCESSING,
    ),
    "claim_lost": (lambda s: QueueRepository(s).claim_lost(age=1, limit=9), PROCESSING, PROCESSING),
    "record_dead_attempts": (
        lambda s: EndingRepository(s).record_dead_attempts([TOKEN], POLICY),
        PROCESSING,
        PROCESSING,
    ),
    "record_dead_attempts, the last": (
        lambda s: EndingRepository(s).record_dead_attempts([TOKEN], LAST),
        PROCESSING,
        FAILURE,
    ),
    "mark_processing_before_expiry": (
        lambda s: EndingRepository(s).mark_processing_before_expiry([ID]),
        PENDING,
        PROCESSING,
    ),
    "mark_expired": (
        lambda s: EndingRepository(s).mark_expired([ID], ERROR),
        PROCESSING,
        FAILURE,
    ),
    "mark_success": (_success(TOKEN), PROCESSING, SUCCESS),
    "mark_success, no token": (_success(None), PROCESSING, SUCCESS),
    "mark_attempts_failed": (_failed(TOKEN, POLICY, None), PROCESSING, FAILURE),
    "mark_attempts_failed, no token": (_failed(None, POLICY, None), PROCESSING, FAILURE),
    "mark_attempts_failed, again": (_failed(TOKEN, POLICY, 1), PROCESSING, PROCESSING),
    "mark_attempts_failed, the last": (_failed(TOKEN, LAST, 1), PROCESSING, FAILURE),
}


async def _row(connection: asyncpg.Connection) -> dict[str, Any]:
    return dict(await connection.fetchrow("SELECT * FROM parse_requests WHERE id = $1", ID))


@pytest.fixture(params=StatusEnum)
async def origin(request: pytest.FixtureRequest, connection: asyncpg.Connection) -> StatusEnum:
    """A row with everything that any statement looks for, and this status."""
    status: StatusEnum = request.param
    await connection.execute(
        "INSERT INTO parse_requests (url, status, token, created_at, updated_at,"
        " next_attempt_at, suspect_since) SELECT 'https://a.example/',"
        " $1::text::parse_request_status, $2, t, t, t, t FROM (SELECT now() - interval '1 day')"
        " AS long_ago(t)",
        status,
        TOKEN,
    )
    return status


@pytest.mark.parametrize("name", MARKS)
async def test_each_statement_makes_its_own_move_only(
    database: Database, connection: asyncpg.Connection, origin: StatusEnum, name: str
) -> None:
    mark, start, goal = MARKS[name]
    before = await _row(connection)
    async with database.transaction() as session:
        await mark(session)
    after = await _row(connection)
    if origin is start:
        assert after["status"] == goal
        assert after["updated_at"] > before["updated_at"]
        assert after["token"] != TOKEN
    else:
        assert after == before


NAMING = ("mark_success", "mark_attempts_failed", "record_dead_attempts")


@pytest.mark.parametrize(
    "name", [name for name in MARKS if name.startswith(NAMING) and "no token" not in name]
)
async def test_what_names_an_attempt_moves_no_other(
    database: Database, connection: asyncpg.Connection, origin: StatusEnum, name: str
) -> None:
    mark, _, _ = MARKS[name]
    await connection.execute("UPDATE parse_requests SET token = '1-newer'")
    before = await _row(connection)
    async with database.transaction() as session:
        await mark(session)
    assert await _row(connection) == before


async def test_only_what_is_processing_becomes_a_suspect(
    database: Database, connection: asyncpg.Connection, origin: StatusEnum
) -> None:
    await connection.execute("UPDATE parse_requests SET suspect_since = NULL")
    async with database.transaction() as session:
        await QueueRepository(session).add_suspects([ID])
    row = await _row(connection)
    assert row["status"] == origin
    assert (row["suspect_since"] is not None) is (origin is PROCESSING)
