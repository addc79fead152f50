"""A row that somebody else wrote costs no other row anything, whatever it holds."""

import json
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from api_service.assembly.worker import WorkerContext
from api_service.queueing.repository import QueueRepository
from api_service.worker.result_loop import build_result_loop
from tests.support.app_client import AppClient
from tests.support.keys import QUEUE, result_key
from tests.support.pipeline_steps import PAGE, PipelineSteps

TIMES = [
    "infinity",
    "-infinity",
    "294276-12-31 23:59:59 UTC",
    "4713-01-01 UTC BC",
    "20000-01-01 UTC",
]
OPTIONS = ['"text"', "[1]", '{"kind": 5, "id": 7, "respect_robots": "x"}', "[" * 3000 + "]" * 3000]


async def _make_odd(connection: asyncpg.Connection, request_id: int, **columns: str) -> None:
    """Write literals into a row."""
    for name, literal in columns.items():
        await connection.execute(
            f"UPDATE parse_requests SET {name} = '{literal}' WHERE id = $1", request_id
        )


async def _take_both(steps: PipelineSteps) -> list[dict[str, Any]]:
    jobs = [json.loads(one.raw) for one in await steps.parser.take(9)]
    assert len(jobs) == 2
    return jobs


@pytest.mark.parametrize("time", TIMES)
async def test_results_are_stored_next_to_a_row_of_any_time(
    steps: PipelineSteps, time: str
) -> None:
    ids = [await steps.start(), await steps.start()]
    await _make_odd(steps.connection, ids[0], created_at=time, updated_at=time)
    for job in await _take_both(steps):
        await steps.finish(job)
    await steps.persist()
    assert [(await steps.row(one))["status"] for one in ids[1:]] == ["success"]
    status = "SELECT status FROM parse_requests WHERE id = $1"
    assert await steps.connection.fetchval(status, ids[0]) == "success"


@pytest.mark.parametrize("attempts", [32767, -32768, 2000])
@pytest.mark.parametrize("outcome", ["success", "failure", "died"])
async def test_attempts_end_next_to_a_row_of_any_number_of_them(
    steps: PipelineSteps, outcome: str, attempts: int
) -> None:
    odd, usual = await steps.start(), await steps.start()
    await _make_odd(steps.connection, odd, attempts=str(attempts))
    jobs = await _take_both(steps)
    if outcome == "died":
        await steps.later(16)
        await steps.later(6)
    else:
        for job in jobs:
            match outcome:
                case "success":
                    await steps.finish(job)
                case _:
                    await steps.fail(job, retryable=True)
        await steps.persist()
    assert (await steps.row(usual))["attempts"] == 1
    assert (await steps.row(odd))["attempts"] == min(attempts + 1, 32767)


@pytest.mark.parametrize("time", TIMES)
async def test_stale_requests_are_pushed_next_to_a_row_of_any_time(
    steps: PipelineSteps, time: str
) -> None:
    odd, usual = await steps.add(), await steps.add()
    await steps.later(6)
    await steps.redis.flushdb()
    await steps.connection.execute(
        "UPDATE parse_requests SET status = 'pending', created_at = now() - interval '1 hour'"
    )
    await _make_odd(steps.connection, odd, created_at=time)
    await steps.context.sweep.run()
    assert usual in await steps.listed()


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("status", ["pending", "processing", "success"])
async def test_old_requests_are_ended_and_deleted_next_to_a_row_of_any_time(
    steps: PipelineSteps, jobs: WorkerContext, status: str, time: str
) -> None:
    odd, ended, unfinished = [await steps.add() for _ in range(3)]
    await steps.connection.execute(
        "UPDATE parse_requests SET created_at = '2001-01-01', updated_at = '2001-01-01'"
    )
    await _make_odd(steps.connection, odd, status=status, created_at=time)
    await _make_odd(steps.connection, ended, status="success")
    progress = await jobs.retention.expire_and_delete_old()
    assert progress.is_done
    assert await steps.connection.fetchval("SELECT count(*) FROM parse_requests") in (1, 2)
    left = "SELECT status FROM parse_requests WHERE id = $1"
    assert await steps.connection.fetchval(left, unfinished) == "failure"
    assert await steps.connection.fetchval(left, ended) is None


@pytest.mark.parametrize("time", TIMES)
async def test_due_attempts_are_pushed_next_to_a_row_of_any_time(
    steps: PipelineSteps, time: str
) -> None:
    odd, ended, usual = [await steps.start() for _ in range(3)]
    await steps.redis.flushdb()
    await _make_odd(steps.connection, odd, next_attempt_at=time)
    await _make_odd(steps.connection, ended, next_attempt_at=time, status="failure")
    await _make_odd(steps.connection, usual, next_attempt_at="now")
    for _ in range(3):
        await steps.context.sweep.run()
    assert usual in await steps.listed()
    await _make_odd(steps.connection, usual, next_attempt_at="now")
    await steps.context.sweep.run()
    assert (await steps.listed()).count(usual) == 2


@pytest.mark.parametrize("options", OPTIONS)
async def test_jobs_are_pushed_next_to_a_row_of_any_options(
    steps: PipelineSteps, options: str
) -> None:
    ids = [await steps.add(), await steps.add()]
    await _make_odd(steps.connection, ids[0], options=options)
    await steps.handover.hand_over_pending(ids)
    assert await steps.listed() == ids
    odd, usual = await _take_both(steps)
    assert odd.keys() == usual.keys()


@pytest.mark.parametrize("time", TIMES)
async def test_a_status_of_any_time_has_one_with_its_offset(
    client: AppClient, steps: PipelineSteps, time: str
) -> None:
    request_id = await steps.add()
    await _make_odd(steps.connection, request_id, created_at=time, updated_at=time)
    answer = await client.get(f"/status/{request_id}")
    assert answer.status_code == 200
    for name in ("created_at", "updated_at"):
        assert datetime.fromisoformat(answer.json()[name]).utcoffset() == UTC.utcoffset(None)


@pytest.mark.parametrize("time", TIMES)
async def test_unfinished_requests_are_summarised_next_to_a_row_of_any_time(
    steps: PipelineSteps, time: str
) -> None:
    odd = await steps.add()
    await steps.add()
    await _make_odd(steps.connection, odd, created_at=time, suspect_since=time)
    async with steps.database.read_session() as session:
        found = await QueueRepository(session).summarise_unfinished(limit=9)
    assert found.states["pending"].requests == 2
    assert 0 <= found.states["pending"].oldest_age < 1e12


@pytest.mark.parametrize("time", ["infinity", "294276-12-31 23:59:59 UTC", "20000-01-01 UTC"])
@pytest.mark.parametrize("column", ["created_at", "updated_at", "next_attempt_at", "suspect_since"])
async def test_a_request_whose_time_is_ahead_is_pushed_all_the_same(
    steps: PipelineSteps, column: str, time: str
) -> None:
    request_id = await (steps.add() if column == "created_at" else steps.start())
    await steps.redis.flushdb()
    await _make_odd(steps.connection, request_id, **{column: time})
    status = "SELECT status FROM parse_requests WHERE id = $1"
    for _ in range(3):
        await steps.context.sweep.run()
        if column in ("updated_at", "suspect_since"):
            await steps.connection.execute(
                "UPDATE parse_requests SET suspect_since = suspect_since - interval '50 seconds' "
                "WHERE isfinite(suspect_since) AND suspect_since < now() + interval '1 hour'"
            )
            await steps.redis.delete(f"{QUEUE}:turn:look")
    assert await steps.listed() == [request_id]
    assert await steps.connection.fetchval(status, request_id) == "processing"


@pytest.mark.parametrize("request_id", [0, -1, -(10**17)])
@pytest.mark.parametrize("way", ["announced", "found", "died"])
async def test_a_request_of_any_id_ends(steps: PipelineSteps, request_id: int, way: str) -> None:
    other = await steps.add()
    await steps.connection.execute("UPDATE parse_requests SET id = $1", request_id)
    assert (await steps.later(6)).stranded == 1
    job = await steps.take()
    assert job["id"] == request_id != other
    match way:
        case "announced":
            await steps.finish(job)
            await steps.persist()
        case "found":
            await steps.redis.set(result_key(request_id), json.dumps(PAGE))
            await build_result_loop(steps.context)._foreign.persist_if_due()
        case "died":
            await steps.later(16)
            assert (await steps.later(6)).died == 1
            assert await steps.listed() == [request_id]
            return
    status = "SELECT status FROM parse_requests WHERE id = $1"
    assert await steps.connection.fetchval(status, request_id) == "success"
    async with steps.database.read_session() as session:
        assert (await QueueRepository(session).summarise_unfinished(limit=9)).requests == 0
