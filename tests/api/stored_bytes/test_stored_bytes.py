"""The bytes of each owner agree with the rows, however requests end and go; on a real database."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.parser_client.messages import FailureResult, Result, SuccessResult
from api_service.stored_bytes import service
from api_service.stored_bytes.repository import StoredBytesRepository
from api_service.stored_bytes.service import FULL_SEARCH_SECONDS, StoredBytesFold
from tests.support.clock import Clock
from tests.support.owners import bytes_counted, bytes_in_rows
from tests.support.rows import add_request

ADA, BOB = UUID(int=1), UUID(int=2)


async def _end(
    jobs: WorkerContext, database: Database, *owners_and_pages: tuple[UUID | None, str | None]
) -> list[int]:
    """End a request for each owner and page in one transaction; None is a page that failed."""
    async with database.transaction() as session:
        ids = [await add_request(session, owner_id=owner) for owner, _ in owners_and_pages]
    await jobs.handover.hand_over_pending(ids)
    results: Mapping[int, Result] = {
        request_id: FailureResult(status="failure", error="no")
        if html is None
        else SuccessResult(status="success", title="A", html=html)
        for request_id, (_, html) in zip(ids, owners_and_pages, strict=True)
    }
    await jobs.endings.record(results)
    return ids


async def test_each_transaction_adds_one_row_for_each_owner_and_none_for_anonymous_callers(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    await _end(
        *(jobs, database),
        *((ADA, "<p>1"), (ADA, "ü" * 100_000), (BOB, "<p>"), (None, "<p>"), (BOB, None)),
    )
    rows = await connection.fetch("SELECT owner_id, bytes FROM stored_bytes_changes")
    assert {row["owner_id"]: row["bytes"] for row in rows} == {ADA: 200_004, BOB: 3}
    assert len(rows) == 2
    await _end(jobs, database, (None, "<p>"), (ADA, None))
    assert await connection.fetchval("SELECT count(*) FROM stored_bytes_changes") == 2


async def test_a_doubled_result_counts_once(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    [request_id] = await _end(jobs, database, (ADA, "<p>1"))
    await jobs.endings.record(
        {request_id: SuccessResult(status="success", title="A", html="<p>again")}
    )
    assert await bytes_counted(connection) == {ADA: 4} == await bytes_in_rows(connection)


async def test_the_clean_up_subtracts_what_it_deletes(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    ids = await _end(jobs, database, (ADA, "<p>1"), (ADA, "<p>22"), (BOB, "<p>"), (None, "<p>"))
    await connection.execute(
        "UPDATE parse_requests SET created_at = now() - interval '40 days',"
        " updated_at = now() - interval '40 days' WHERE id <> $1",
        ids[0],
    )
    await jobs.retention.expire_and_delete_old()
    assert await bytes_counted(connection) == {ADA: 4, BOB: 0}
    assert await bytes_in_rows(connection) == {ADA: 4}


async def test_a_fold_keeps_the_sum(
    jobs: WorkerContext,
    database: Database,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "CHANGES_PER_FOLD", 2)
    fold = StoredBytesFold(database)
    for _ in range(5):
        await _end(jobs, database, (ADA, "<p>1"), (BOB, "<p>"))
    assert await fold.run(seconds=0) == 2
    assert await bytes_counted(connection) == {ADA: 20, BOB: 15}
    assert await fold.run(seconds=60) == 8
    assert await bytes_counted(connection) == {ADA: 20, BOB: 15}
    assert not await connection.fetchval("SELECT count(*) FROM stored_bytes_changes")
    async with database.read_session() as session:
        assert await StoredBytesRepository(session).read([ADA, uuid4()]) == {ADA: 20}


async def test_folds_at_once_lose_and_double_nothing(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "INSERT INTO stored_bytes_changes (owner_id, bytes)"
        " SELECT CASE n % 2 WHEN 0 THEN $1::uuid ELSE $2 END, 1 FROM generate_series(1, 30000) n",
        *(ADA, BOB),
    )
    folds = [StoredBytesFold(database) for _ in range(4)]
    assert sum(await asyncio.gather(*(fold.run(seconds=60) for fold in folds))) == 30_000
    assert await bytes_counted(connection) == {ADA: 15_000, BOB: 15_000}


async def test_what_is_committed_late_is_folded_by_a_later_search_from_the_bottom(
    database: Database, connection: asyncpg.Connection
) -> None:
    clock = Clock()
    fold = StoredBytesFold(database, clock=clock)
    add = "INSERT INTO stored_bytes_changes (owner_id, bytes) VALUES ($1, 1)"
    late = connection.transaction()
    await late.start()
    await connection.execute(add, ADA)
    async with database.transaction() as session:
        await StoredBytesRepository(session).add_changes([(BOB, 5)])
    assert await fold.run(seconds=1) == 1
    await late.commit()
    assert await fold.run(seconds=1) == 0
    clock.now += FULL_SEARCH_SECONDS
    assert await fold.run(seconds=1) == 1
    assert await bytes_counted(connection) == {ADA: 1, BOB: 5}


async def test_a_failed_ending_counts_nothing(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    """Row and bytes are in one transaction: one does not come without the other."""
    async with database.transaction() as session:
        request_id = await add_request(session, owner_id=ADA)
    await jobs.handover.hand_over_pending([request_id])
    await connection.execute("ALTER TABLE stored_bytes_changes RENAME TO gone")
    page = SuccessResult(status="success", title="A", html="<p>")
    with pytest.raises(Exception, match="stored_bytes_changes"):
        await jobs.endings.record({request_id: page})
    await connection.execute("ALTER TABLE gone RENAME TO stored_bytes_changes")
    status = await connection.fetchval("SELECT status FROM parse_requests")
    assert (status, await bytes_counted(connection)) == ("processing", {})
    await jobs.endings.record({request_id: page})
    assert await bytes_counted(connection) == {ADA: 3}


async def test_what_expires_stores_nothing(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    async with database.transaction() as session:
        await add_request(session, owner_id=ADA)
    await connection.execute("UPDATE parse_requests SET created_at = now() - interval '40 days'")
    assert await jobs.endings.expire(timedelta(days=30), limit=10) == 1
    assert await bytes_counted(connection) == {}
