"""All that is an owner's goes in slices, whatever happens meanwhile; on a real database."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from api_service.assembly.worker import WorkerContext
from api_service.caller import Caller
from api_service.database import Database, Session
from api_service.dependencies import current_caller
from api_service.idempotency.repository import IdempotencyRepository, KnownKey
from api_service.idempotency.service import scope_of_host, scope_of_owner
from api_service.owners import deletion
from api_service.owners.chores import OwnerChores
from api_service.owners.deletion import (
    ANSWER_DAYS,
    SETTLE_SECONDS,
    WATCH_SECONDS,
    OwnedData,
    find_deletion,
    request_deletion,
)
from api_service.owners.repository import Deletion
from api_service.parser_client.messages import SuccessResult
from api_service.stored_bytes.service import StoredBytesFold
from tests.support.app_client import AppClient
from tests.support.owners import bytes_counted
from tests.support.rows import add_request

ADA, BOB = uuid4(), uuid4()
OWNERS = (ADA, BOB, None)
PAGE = SuccessResult(status="success", title="A", html="<p>")


@pytest.fixture
def owned_data(jobs: WorkerContext) -> OwnedData:
    return OwnedData(database=jobs.database, endings=jobs.endings)


async def _request(database: Database, owner_id: UUID = ADA) -> Deletion:
    async with database.transaction() as session:
        return await request_deletion(session, owner_id)


async def _find(database: Database, deletion_id: str) -> Deletion | None:
    async with database.transaction() as session:
        return await find_deletion(session, deletion_id)


async def _rows(connection: asyncpg.Connection, owner_id: UUID | None) -> int:
    query = "SELECT count(*) FROM parse_requests WHERE owner_id IS NOT DISTINCT FROM $1"
    return int(await connection.fetchval(query, owner_id))


async def _age(connection: asyncpg.Connection, seconds: float) -> None:
    await connection.execute(
        "UPDATE owners_to_delete SET requested_at = requested_at - $1::interval,"
        " done_at = done_at - $1::interval, next_look_at = next_look_at - $1::interval",
        timedelta(seconds=seconds),
    )


async def _fill(database: Database, jobs: WorkerContext) -> dict[UUID | None, list[int]]:
    """Give each owner a request in every state, and keys."""
    ids: dict[UUID | None, list[int]] = {}
    for owner in OWNERS:
        async with database.transaction() as session:
            ids[owner] = [await add_request(session, owner_id=owner) for _ in range(3)]
            scope = scope_of_owner(owner) if owner else scope_of_host("127.0.0.1")
            for n in range(3):
                await IdempotencyRepository(session).add_or_replace(scope, f"{n}", KnownKey("", n))
        await jobs.handover.hand_over_pending(ids[owner][:2])
        await jobs.endings.record({ids[owner][0]: PAGE})
    return ids


async def test_everything_of_the_owner_goes_and_nothing_of_others(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection, owned_data: OwnedData
) -> None:
    await _fill(database, jobs)
    asked = await _request(database)
    assert asked.done_at is None
    await _age(connection, SETTLE_SECONDS)
    assert await owned_data.delete_some(seconds=10)
    assert [await _rows(connection, owner) for owner in OWNERS] == [0, 3, 3]
    keys = await connection.fetch("SELECT caller, count(*) FROM idempotency_keys GROUP BY 1")
    assert {tuple(row) for row in keys} == {
        (scope_of_owner(BOB), 3),
        (scope_of_host("127.0.0.1"), 3),
    }
    counted = await bytes_counted(connection)
    assert (counted.get(ADA, 0), counted[BOB]) == (0, 3)
    await StoredBytesFold(database).run(seconds=1)
    assert (await bytes_counted(connection)).get(ADA, 0) == 0
    done = await _find(database, asked.id)
    assert done
    assert done.done_at
    assert not await owned_data.delete_some(seconds=10)


async def test_nothing_of_the_owner_is_left_in_any_table(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection, owned_data: OwnedData
) -> None:
    """Walk all columns that may name an owner, those of tables added later, too."""
    await _fill(database, jobs)
    await StoredBytesFold(database).run(seconds=1)
    await _request(database)
    await _age(connection, SETTLE_SECONDS)
    await owned_data.delete_some(seconds=10)
    await StoredBytesFold(database).run(seconds=1)
    await _age(connection, WATCH_SECONDS / 6)
    await owned_data.delete_some(seconds=10)
    columns = await connection.fetch(
        "SELECT table_name AS t, column_name AS c FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'uuid'"
    )
    assert len(columns) >= 4
    for column in columns:
        query = f'SELECT count(*) FROM "{column["t"]}" WHERE "{column["c"]}" = $1'
        left = await connection.fetchval(query, ADA)
        assert left == (1 if column["t"] == "owners_to_delete" else 0), column


async def test_a_client_that_waits_learns_that_its_request_is_gone(
    jobs: WorkerContext, database: Database, owned_data: OwnedData, client: AppClient
) -> None:
    """With the notices that every end gives, so at once."""
    ids = await _fill(database, jobs)
    client.app.dependency_overrides[current_caller] = lambda: Caller(ADA)
    polls = [asyncio.create_task(client.get(f"/status/{i}?wait=20")) for i in ids[ADA][1:]]
    await asyncio.sleep(0.3)
    assert not any(poll.done() for poll in polls)
    await _request(database)
    await owned_data.delete_some(seconds=10)
    async with asyncio.timeout(0.9):  # less than the second after which a poll looks by itself
        answers = await asyncio.gather(*polls)
    for answer in answers:
        assert answer.status_code == 404 or answer.json()["status"] == "failure"


async def test_results_that_come_later_change_nothing(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection, owned_data: OwnedData
) -> None:
    ids = await _fill(database, jobs)
    in_flight = ids[ADA][1]
    token = await connection.fetchval("SELECT token FROM parse_requests WHERE id = $1", in_flight)
    await _request(database)
    await owned_data.delete_some(seconds=10)
    await jobs.endings.record({in_flight: PAGE.model_copy(update={"token": token})})
    await jobs.handover.hand_over_pending(ids[ADA])
    assert await _rows(connection, ADA) == 0
    await StoredBytesFold(database).run(seconds=1)
    assert (await bytes_counted(connection)).get(ADA, 0) == 0


async def test_a_deletion_is_done_when_nothing_can_come_any_more(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection, owned_data: OwnedData
) -> None:
    await _fill(database, jobs)
    asked = await _request(database)
    await owned_data.delete_some(seconds=10)
    assert await _rows(connection, ADA) == 0
    assert await _find(database, asked.id) == asked  # a process may still know the owner
    assert not await owned_data.delete_some(seconds=10)
    async with database.transaction() as session:
        await add_request(session, owner_id=ADA)
    await _age(connection, SETTLE_SECONDS)
    await owned_data.delete_some(seconds=10)
    done = await _find(database, asked.id)
    assert done
    assert done.done_at
    assert await _rows(connection, ADA) == 0


async def test_what_comes_still_later_goes_too(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection, owned_data: OwnedData
) -> None:
    asked = await _request(database)
    await _age(connection, SETTLE_SECONDS)
    await owned_data.delete_some(seconds=10)
    async with database.transaction() as session:
        await add_request(session, owner_id=ADA)
    looks = 0
    for _ in range(20):
        await _age(connection, WATCH_SECONDS / 6)
        looks += await owned_data.delete_some(seconds=10)
    assert await _rows(connection, ADA) == 0
    assert 5 <= looks <= 8
    await _age(connection, ANSWER_DAYS * 86400)
    assert await _find(database, asked.id)
    await _request(database, BOB)
    await _age(connection, SETTLE_SECONDS)
    await owned_data.delete_some(seconds=10)
    assert await _find(database, asked.id) is None


async def test_a_row_that_another_transaction_has_locked_is_not_forgotten(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection, owned_data: OwnedData
) -> None:
    ids = await _fill(database, jobs)
    asked = await _request(database)
    await _age(connection, SETTLE_SECONDS)
    async with connection.transaction():
        query = "SELECT FROM parse_requests WHERE id = ANY($1) FOR UPDATE"
        await connection.execute(query, [ids[ADA][0], ids[ADA][2]])
        await owned_data.delete_some(seconds=0.5)
        assert await _find(database, asked.id) == await _request(database)
    assert await _rows(connection, ADA) == 2
    await owned_data.delete_some(seconds=10)
    assert await _rows(connection, ADA) == 0


async def test_owners_take_turns_and_a_slice_is_short(
    jobs: WorkerContext,
    database: Database,
    connection: asyncpg.Connection,
    owned_data: OwnedData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deletion, "REQUESTS_PER_BATCH", 10)
    for owner, status in ((ADA, "success"), (BOB, "pending")):
        await connection.execute(
            "INSERT INTO parse_requests (url, status, owner_id) SELECT 'https://a.example/',"
            " $2::text::parse_request_status, $1 FROM generate_series(1, 35)",
            *(owner, status),
        )
        await _request(database, owner)
    await owned_data.delete_some(seconds=0)
    assert [await _rows(connection, owner) for owner in (ADA, BOB)] == [25, 35]
    await owned_data.delete_some(seconds=0)
    unfinished = "SELECT count(*) FROM parse_requests WHERE status = 'pending'"
    assert await connection.fetchval(unfinished) == 25
    for _ in range(30):
        await owned_data.delete_some(seconds=0)
    assert [await _rows(connection, owner) for owner in (ADA, BOB)] == [0, 0]


async def test_two_workers_at_once_do_no_harm(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    for n in range(3):
        await connection.execute(
            "INSERT INTO parse_requests (url, status, owner_id, html_content)"
            " SELECT 'https://a.example/', CASE n % 2 WHEN 0 THEN 'success' ELSE 'processing' END"
            " ::parse_request_status, $1, CASE n % 2 WHEN 0 THEN '<p>' END"
            " FROM generate_series(1, 1000) n",
            (ADA, BOB, None)[n],
        )
    for owner in (ADA, BOB):
        await connection.execute("INSERT INTO stored_bytes VALUES ($1, 1500)", owner)
        await _request(database, owner)
    both = [OwnedData(database=jobs.database, endings=jobs.endings) for _ in range(2)]
    for _ in range(10):
        await asyncio.gather(*(one.delete_some(seconds=10) for one in both))
    assert [await _rows(connection, owner) for owner in OWNERS] == [0, 0, 1000]
    assert (await bytes_counted(connection)).get(ADA, 0) <= 0


async def test_capabilities_erase_what_they_keep(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    kept = {ADA: 3, BOB: 3}

    async def erase(_: Session, owner_id: UUID) -> bool:
        had = kept[owner_id] > 0
        kept[owner_id] -= had
        return had

    owned_data = OwnedData(database=database, endings=jobs.endings, erasers=[erase])
    asked = await _request(database)
    await _age(connection, SETTLE_SECONDS)
    await owned_data.delete_some(seconds=10)
    assert kept == {ADA: 0, BOB: 3}
    assert (await _find(database, asked.id)) != asked


async def test_asked_twice_it_is_one_deletion_and_an_id_tells_nothing(database: Database) -> None:
    first, again = await _request(database), await _request(database)
    assert first == again
    assert str(ADA) not in first.id
    assert len(first.id) <= 64
    assert (await _request(database, BOB)).id != first.id
    assert await _find(database, "del_unknown") is None


async def test_the_chore_is_claimed_and_done(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    await _fill(database, jobs)
    await _request(database)
    chores: OwnerChores = jobs.owner_chores
    await chores.do_what_is_due()
    assert await _rows(connection, ADA) == 0
    assert not await connection.fetchval("SELECT count(*) FROM stored_bytes_changes")
    await _request(database, BOB)
    await chores.do_what_is_due()  # another has just done it
    assert await _rows(connection, BOB) == 3
