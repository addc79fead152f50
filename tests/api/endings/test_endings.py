"""Every end goes one way: what others add to it is in its transaction, or nothing is."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog

from api_service.assembly.worker import WorkerContext
from api_service.database import Database, Session
from api_service.endings.attempts import AttemptOutcome, RetryPolicy, SucceededAttempt
from api_service.endings.repository import EndingRepository
from api_service.endings.service import CORE_RECORDERS, Endings
from api_service.endings.steps import EndingStep
from api_service.exceptions import DatabaseUnavailableError
from api_service.page.facts import PageFacts
from api_service.parser_client.messages import FailureReason, FailureResult, Result, SuccessResult
from api_service.repository import NewRequest, ParseRequestRepository
from api_service.status_enum import StatusEnum

ADA = uuid4()
PAGE = SuccessResult(status="success", title="A", html="<p>")


def _failure(*, retryable: bool) -> FailureResult:
    reason = FailureReason(code="timeout", message="Slow.", retryable=retryable)
    return FailureResult(status="failure", error="Slow.", reason=reason)


def _endings(database: Database, *steps: EndingStep, max_attempts: int = 3) -> Endings:
    retries = RetryPolicy(max_attempts=max_attempts, base_delay=2, max_delay=60)
    return Endings(database=database, retries=retries, steps=steps)


class Seen:
    """A step that notes what it was shown."""

    def __init__(self) -> None:
        self.ended: list[AttemptOutcome] = []

    async def __call__(self, _: Session, ended: Sequence[AttemptOutcome]) -> None:
        self.ended += ended


async def _started(database: Database, jobs: WorkerContext, *owners: UUID | None) -> list[int]:
    requests = [NewRequest("https://a.example/", owner_id=owner) for owner in owners]
    async with database.transaction() as session:
        ids = await ParseRequestRepository(session).add_all(requests)
    await jobs.handover.hand_over_pending(ids)
    return ids


async def _rows(connection: asyncpg.Connection) -> dict[int, asyncpg.Record]:
    rows = await connection.fetch("SELECT * FROM parse_requests")
    return {row["id"]: row for row in rows}


async def test_a_step_sees_each_end_once_and_whose_it_is(
    database: Database, jobs: WorkerContext
) -> None:
    good, bad, again = await _started(database, jobs, ADA, None, ADA)
    seen = Seen()
    endings = _endings(database, seen)
    results: dict[int, Result] = {
        good: PAGE,
        bad: _failure(retryable=False),
        again: _failure(retryable=True),
    }
    await endings.record(results)
    await endings.record(results)
    found = {(item.request_id, item.owner_id, item.status) for item in seen.ended}
    assert found == {(good, ADA, StatusEnum.SUCCESS), (bad, None, StatusEnum.FAILURE)}
    assert len(seen.ended) == 2


async def test_a_step_sees_a_request_that_fails_with_its_last_parser(
    database: Database, jobs: WorkerContext, connection: asyncpg.Connection
) -> None:
    [request_id] = await _started(database, jobs, ADA)
    token = (await _rows(connection))[request_id]["token"]
    seen = Seen()
    again, failed = await _endings(database, seen, max_attempts=1).record_dead_attempts([token])
    assert (again, seen.ended) == ([], failed)
    assert failed[0].owner_id == ADA


async def _write(session: Session, statement: str, *values: object) -> None:
    raw = await (await session.connection()).get_raw_connection()
    assert raw.driver_connection
    await raw.driver_connection.execute(statement, *values)


@pytest.mark.parametrize("error", [ValueError, KeyError, TypeError, RuntimeError, None])
async def test_a_step_that_fails_for_one_request_counts_the_others_and_ends_all(
    database: Database,
    jobs: WorkerContext,
    connection: asyncpg.Connection,
    error: type[Exception] | None,
) -> None:
    await connection.execute("CREATE TABLE counted (id bigint)")
    good, wrong, bad, wrong_bad = await _started(database, jobs, None, None, None, None)

    async def count(session: Session, ended: Sequence[AttemptOutcome]) -> None:
        for change in ended:
            await _write(session, "INSERT INTO counted VALUES ($1)", change.request_id)
            if change.request_id in {wrong, wrong_bad}:
                if error:
                    raise error("a bug in a step")
                await _write(session, "SELECT nonsense")

    failure = _failure(retryable=False)
    results: dict[int, Result] = {good: PAGE, wrong: PAGE, bad: failure, wrong_bad: failure}
    seen = Seen()
    with structlog.testing.capture_logs() as lines:
        await _endings(database, count, seen).record(results)
    rows = await _rows(connection)
    assert [rows[i]["status"] for i in results] == ["success", "success", "failure", "failure"]
    assert "Slow." in rows[wrong_bad]["error"]
    counted = await connection.fetch("SELECT id FROM counted ORDER BY id")
    assert [row["id"] for row in counted] == [good, bad]
    assert [change.request_id for change in seen.ended] == [good, wrong, bad, wrong_bad]
    left_out = [line for line in lines if line["event"] == "ending step left out"]
    assert [line["request_id"] for line in left_out] == [wrong, wrong_bad]
    assert all(count.__qualname__ in line["step"] for line in left_out)


async def test_an_outage_in_a_step_leaves_everything_as_it_was(
    database: Database, jobs: WorkerContext, connection: asyncpg.Connection
) -> None:
    async def lose_the_connection(session: Session, _: Sequence[AttemptOutcome]) -> None:
        await _write(session, "SELECT pg_terminate_backend(pg_backend_pid())")

    ids = await _started(database, jobs, None, None)
    before = await _rows(connection)
    with pytest.raises(DatabaseUnavailableError):
        await _endings(database, lose_the_connection).record(dict.fromkeys(ids, PAGE))
    assert await _rows(connection) == before


async def test_steps_write_in_the_transaction_of_the_end(
    database: Database, jobs: WorkerContext, connection: asyncpg.Connection
) -> None:
    await connection.execute("CREATE TABLE counters (ended integer)")

    async def count(session: Session, ended: Sequence[AttemptOutcome]) -> None:
        await _write(session, "INSERT INTO counters VALUES ($1)", len(ended))
        other = await connection.fetchval("SELECT count(*) FROM counters")
        assert other == 0, "seen before its commit"

    ids = await _started(database, jobs, None, None)
    await _endings(database, count).record(dict.fromkeys(ids, PAGE))
    assert await connection.fetchval("SELECT ended FROM counters") == 2


async def test_each_kind_of_result_has_its_recorder(
    database: Database, jobs: WorkerContext, connection: asyncpg.Connection
) -> None:
    async def record_rows(
        session: Session, results: Mapping[int, SuccessResult]
    ) -> list[AttemptOutcome]:
        rows = [
            SucceededAttempt(i, result.token, title="rows", html="", facts=PageFacts())
            for i, result in results.items()
        ]
        return await EndingRepository(session).mark_success(rows)

    kinds = ["page", "listing", "unknown", "page", "page"]
    requests = [NewRequest("https://a.example/", kind=kind) for kind in kinds]
    async with database.transaction() as session:
        ids = await ParseRequestRepository(session).add_all(requests)
    await jobs.handover.hand_over_pending(ids)
    tokens = [(await _rows(connection))[i]["token"] for i in ids]
    endings = Endings(
        database=database,
        retries=RetryPolicy(max_attempts=1, base_delay=2, max_delay=60),
        recorders={**CORE_RECORDERS, "listing": record_rows},
    )
    results = {
        ids[0]: PAGE.model_copy(update={"token": tokens[0]}),
        ids[1]: PAGE.model_copy(update={"token": tokens[1], "kind": "listing"}),
        ids[2]: PAGE.model_copy(update={"token": tokens[2], "kind": "unknown"}),
        ids[3]: PAGE.model_copy(update={"kind": "a foreign parser's own"}),
        ids[4]: PAGE.model_copy(update={"token": tokens[4], "kind": "article"}),
    }
    await endings.record(results)
    rows = await _rows(connection)
    assert [(rows[i]["status"], rows[i]["title"]) for i in ids] == [
        ("success", "A"),
        ("success", "rows"),
        ("failure", None),
        ("success", "A"),
        ("success", "A"),
    ]
    assert "internal_error" in rows[ids[2]]["error"]


async def test_two_batches_with_the_same_rows_in_opposite_order_do_not_deadlock(
    database: Database, jobs: WorkerContext, connection: asyncpg.Connection
) -> None:
    # Other rows, so that each row of a batch is found by its id, in the order of the batch.
    await connection.execute(
        "INSERT INTO parse_requests (url, status)"
        " SELECT 'https://a.example/', 'failure' FROM generate_series(1, 20000)"
    )
    ids = await _started(database, jobs, None, None)
    await connection.execute("ANALYZE parse_requests")
    await connection.execute(
        "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN PERFORM pg_sleep(0.3); RETURN new; END'"
    )
    await connection.execute(
        "CREATE TRIGGER pause BEFORE UPDATE ON parse_requests FOR EACH ROW EXECUTE FUNCTION pause()"
    )
    seen = Seen()
    endings = _endings(database, seen)
    orders = (ids, ids[::-1])
    await asyncio.gather(*(endings.record(dict.fromkeys(order, PAGE)) for order in orders))
    assert sorted(change.request_id for change in seen.ended) == ids


async def test_a_step_sees_what_expires_and_nothing_of_its_attempts_is_left(
    database: Database, jobs: WorkerContext, connection: asyncpg.Connection
) -> None:
    ids = await _started(database, jobs, ADA, None, None)
    await connection.execute(
        "UPDATE parse_requests SET next_attempt_at = now() WHERE id = $1", ids[0]
    )
    await connection.execute(
        "UPDATE parse_requests SET suspect_since = now() WHERE id = $1", ids[1]
    )
    seen = Seen()
    assert await _endings(database, seen).expire(timedelta(), limit=10) == 3
    assert {(change.request_id, change.owner_id, change.status) for change in seen.ended} == {
        (request_id, owner, StatusEnum.FAILURE)
        for request_id, owner in zip(ids, (ADA, None, None), strict=True)
    }
    for row in (await _rows(connection)).values():
        assert (row["token"], row["next_attempt_at"], row["suspect_since"]) == (None, None, None)
