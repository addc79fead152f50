"""What is deleted when it was kept long enough, on a real database."""

import asyncio
from datetime import timedelta
from time import monotonic

import asyncpg
import pytest

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.metrics import worker
from api_service.parser_client.messages import SuccessResult
from api_service.retention import CleanupProgress
from api_service.tasks import CLEANUP_PAUSE_SECONDS, CLEANUP_SLICE_SECONDS
from tests.support.app_client import AppClient
from tests.support.metrics import Growth
from tests.support.rows import add_request


async def _add(database: Database) -> int:
    async with database.transaction() as session:
        return await add_request(session)


async def _row(connection: asyncpg.Connection, request_id: int) -> asyncpg.Record:
    return await connection.fetchrow("SELECT * FROM parse_requests WHERE id = $1", request_id)


MONTH, DAY, NOW = timedelta(days=31), timedelta(days=1), timedelta()


async def _age(
    connection: asyncpg.Connection,
    request_id: int,
    status: str,
    *,
    accepted: timedelta,
    changed: timedelta,
) -> None:
    """Make a request look accepted, and last changed, so long ago."""
    await connection.execute(
        "UPDATE parse_requests SET status = $1, created_at = now() - $2::interval,"
        " updated_at = now() - $3::interval WHERE id = $4",
        *(status, accepted, changed, request_id),
    )


async def test_retention_counts_from_the_end(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    ids = [await _add(database) for _ in range(4)]
    old_success, old_failure, just_ended, young = ids
    await _age(connection, old_success, "success", accepted=2 * MONTH, changed=MONTH)
    await _age(connection, old_failure, "failure", accepted=MONTH, changed=MONTH)
    await _age(connection, just_ended, "success", accepted=MONTH, changed=DAY)
    await _age(connection, young, "failure", accepted=29 * DAY, changed=29 * DAY)
    assert (await jobs.retention.expire_and_delete_old()).deleted == 2
    left = [request_id for request_id in ids if await _row(connection, request_id)]
    assert left == [just_ended, young]


async def test_what_never_ended_is_ended_and_never_deleted(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection, client: AppClient
) -> None:
    ids = [await _add(database) for _ in range(4)]
    waiting, forgotten, still_moving, young = ids
    await _age(connection, waiting, "pending", accepted=MONTH, changed=MONTH)
    await _age(connection, forgotten, "processing", accepted=2 * MONTH, changed=MONTH)
    await _age(connection, still_moving, "processing", accepted=MONTH, changed=NOW)
    await _age(connection, young, "pending", accepted=29 * DAY, changed=29 * DAY)
    polls = [asyncio.create_task(client.get(f"/status/{i}?wait=20")) for i in ids[:3]]
    await asyncio.sleep(0.2)
    counted = Growth(worker.REGISTRY)
    assert await jobs.retention.expire_and_delete_old() == CleanupProgress(
        0, is_done=True, expired=3
    )
    async with asyncio.timeout(0.9):  # less than the second after which a poll looks by itself
        assert [(await poll).json()["status"] for poll in polls] == ["failure"] * 3
    assert counted.grown()["page_parser_requests_failed_total{code=expired}"] == 3
    for request_id in ids[:3]:
        error = (await client.get(f"/result/{request_id}")).json()["error"]
        assert (error["code"], error["retryable"]) == ("expired", False)
        assert error["message"] == "The request did not end within 30 days."
    assert (await client.get(f"/status/{young}")).json()["status"] == "pending"
    assert await jobs.retention.expire_and_delete_old() == CleanupProgress(0, is_done=True)


async def test_a_late_result_of_an_expired_request_changes_nothing(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    request_id = await _add(database)
    await jobs.handover.hand_over_pending([request_id])
    token = (await _row(connection, request_id))["token"]
    await _age(connection, request_id, "processing", accepted=MONTH, changed=MONTH)
    await jobs.retention.expire_and_delete_old()
    before = await _row(connection, request_id)
    page = SuccessResult(status="success", title="A", html="<p>", token=token)
    await jobs.endings.record({request_id: page})
    assert await _row(connection, request_id) == before


async def test_clean_up_goes_through_many_batches(
    jobs: WorkerContext, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_service.retention.CLEANUP_BATCH_SIZE", 10)
    await connection.execute(
        "INSERT INTO parse_requests (url, status, created_at, updated_at)"
        " SELECT 'https://example.com/', 'success', now() - interval '40 days',"
        " now() - interval '40 days' FROM generate_series(1, 35)",
    )
    assert await jobs.retention.expire_and_delete_old(seconds=0) == CleanupProgress(
        10, is_done=False
    )
    assert await jobs.retention.expire_and_delete_old() == CleanupProgress(25, is_done=True)


async def test_clean_up_ends_requests_in_batches_too(
    jobs: WorkerContext, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_service.retention.CLEANUP_BATCH_SIZE", 10)
    await connection.execute(
        "INSERT INTO parse_requests (url, created_at)"
        " SELECT 'https://example.com/', now() - interval '40 days' FROM generate_series(1, 35)",
    )
    assert await jobs.retention.expire_and_delete_old(seconds=0) == CleanupProgress(
        0, False, expired=10
    )
    assert await jobs.retention.expire_and_delete_old() == CleanupProgress(
        0, is_done=True, expired=25
    )


async def test_batches_pass_over_what_is_spared(
    jobs: WorkerContext, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What took long and ended lately lies before what may go."""
    monkeypatch.setattr("api_service.retention.CLEANUP_BATCH_SIZE", 10)
    for accepted, ended, number in ((50, 1, 30), (40, 40, 25), (45, 2, 5)):
        await connection.execute(
            "INSERT INTO parse_requests (url, status, created_at, updated_at)"
            " SELECT 'https://example.com/', 'success', now() - interval '1 day' * $1::int,"
            " now() - interval '1 day' * $2::int FROM generate_series(1, $3::int)",
            *(accepted, ended, number),
        )
    assert await jobs.retention.expire_and_delete_old() == CleanupProgress(25, is_done=True)


async def _add_old(connection: asyncpg.Connection, count: int, *, days: int) -> None:
    await connection.execute(
        "INSERT INTO parse_requests (url, status, created_at, updated_at)"
        " SELECT 'https://example.com/', 'success', at, at FROM generate_series(1, $1::int),"
        " LATERAL (SELECT now() - interval '1 day' * $2::int) AS t(at)",
        *(count, days),
    )


async def test_clean_up_goes_on_where_it_stopped(
    jobs: WorkerContext, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_service.retention.CLEANUP_BATCH_SIZE", 10)
    await _add_old(connection, 35, days=40)
    assert await jobs.retention.expire_and_delete_old(seconds=0) == CleanupProgress(
        10, is_done=False
    )
    await _add_old(connection, 1, days=50)
    assert await jobs.retention.expire_and_delete_old() == CleanupProgress(25, is_done=True)
    assert await jobs.retention.expire_and_delete_old() == CleanupProgress(1, is_done=True)


async def test_clean_up_leaves_the_worker_nine_tenths_of_its_time(
    jobs: WorkerContext, connection: asyncpg.Connection
) -> None:
    await _add_old(connection, 100_000, days=40)
    started = monotonic()
    progress = await jobs.retention.expire_and_delete_old(seconds=CLEANUP_SLICE_SECONDS)
    took = monotonic() - started
    assert not progress.is_done
    assert took < 0.4  # a tenth of a second, and the batch that was begun in it
    assert CLEANUP_SLICE_SECONDS < CLEANUP_PAUSE_SECONDS / 9
