"""What is deleted when it was kept long enough, on a real database."""

from datetime import timedelta

import asyncpg
import pytest

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.retention import CleanupProgress
from tests.support.rows import add_request
from tests.support.servers import dsn


async def _add(database: Database) -> int:
    async with database.transaction() as session:
        return await add_request(session)


async def _row(database_url: str, request_id: int) -> asyncpg.Record:
    connection = await asyncpg.connect(dsn(database_url))
    row = await connection.fetchrow("SELECT * FROM parse_requests WHERE id = $1", request_id)
    await connection.close()
    return row


async def _execute(database_url: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(dsn(database_url))
    await connection.execute(statement, *arguments)
    await connection.close()


async def test_clean_up_deletes_what_is_older_than_the_retention(
    jobs: WorkerContext, database: Database, database_url: str
) -> None:
    ids = [await _add(database) for _ in range(5)]
    old_success, old_pending, old_but_moving, young, forgotten = ids
    month = timedelta(days=31)
    statement = (
        "UPDATE parse_requests SET status = $1, created_at = now() - $2::interval,"
        " updated_at = now() - $3::interval WHERE id = $4"
    )
    now = timedelta()
    await _execute(database_url, statement, "success", month, now, old_success)
    await _execute(database_url, statement, "pending", month, month, old_pending)
    await _execute(database_url, statement, "processing", month, now, old_but_moving)
    await _execute(database_url, statement, "failure", timedelta(days=29), now, young)
    await _execute(database_url, statement, "failure", month, month, forgotten)
    assert (await jobs.retention.clean_up()).deleted == 3
    left = [request_id for request_id in ids if await _row(database_url, request_id)]
    assert left == [old_but_moving, young]


async def test_clean_up_goes_through_many_batches(
    jobs: WorkerContext, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_service.retention.DELETE_BATCH", 10)
    await _execute(
        database_url,
        "INSERT INTO parse_requests (url, status, created_at)"
        " SELECT 'https://example.com/', 'success', now() - interval '40 days'"
        " FROM generate_series(1, 35)",
    )
    assert await jobs.retention.clean_up(seconds=0) == CleanupProgress(10, is_done=False)
    assert await jobs.retention.clean_up() == CleanupProgress(25, is_done=True)
