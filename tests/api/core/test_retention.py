"""What is deleted when it was kept long enough, on a real database."""

from datetime import timedelta

import asyncpg
import pytest

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.retention import CleanupProgress
from tests.support.rows import add_request


async def _add(database: Database) -> int:
    async with database.transaction() as session:
        return await add_request(session)


async def _row(connection: asyncpg.Connection, request_id: int) -> asyncpg.Record:
    return await connection.fetchrow("SELECT * FROM parse_requests WHERE id = $1", request_id)


async def test_clean_up_deletes_what_is_older_than_the_retention(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    ids = [await _add(database) for _ in range(5)]
    old_success, old_pending, old_but_moving, young, forgotten = ids
    month = timedelta(days=31)
    statement = (
        "UPDATE parse_requests SET status = $1, created_at = now() - $2::interval,"
        " updated_at = now() - $3::interval WHERE id = $4"
    )
    now = timedelta()
    await connection.execute(statement, "success", month, now, old_success)
    await connection.execute(statement, "pending", month, month, old_pending)
    await connection.execute(statement, "processing", month, now, old_but_moving)
    await connection.execute(statement, "failure", timedelta(days=29), now, young)
    await connection.execute(statement, "failure", month, month, forgotten)
    assert (await jobs.retention.clean_up()).deleted == 3
    left = [request_id for request_id in ids if await _row(connection, request_id)]
    assert left == [old_but_moving, young]


async def test_clean_up_goes_through_many_batches(
    jobs: WorkerContext, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_service.retention.DELETE_BATCH", 10)
    await connection.execute(
        "INSERT INTO parse_requests (url, status, created_at)"
        " SELECT 'https://example.com/', 'success', now() - interval '40 days'"
        " FROM generate_series(1, 35)",
    )
    assert await jobs.retention.clean_up(seconds=0) == CleanupProgress(10, is_done=False)
    assert await jobs.retention.clean_up() == CleanupProgress(25, is_done=True)
