"""The API and the worker count what they do, on a real database and Redis."""

import json
import re

import asyncpg
import httpx
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext, open_worker
from api_service.config import Settings
from api_service.database import Database
from api_service.metrics import api, worker
from api_service.parser_client.messages import FailureReason, FailureResult, SuccessResult
from tests.support.app_client import OpenApp
from tests.support.keys import (
    ENDED_LEASES,
    LEASES,
    QUEUE,
    TAKERS,
    result_key,
    taken_key,
)
from tests.support.metrics import Growth
from tests.support.rows import add_request
from tests.support.system import ROOT

PAGE = SuccessResult(status="success", title="A", html="<p>")


async def _add(jobs: WorkerContext, database: Database) -> int:
    """A request that the parsers have been handed."""
    async with database.transaction() as session:
        request_id = await add_request(session, "https://a.example/")
    await jobs.handover.hand_over_pending([request_id])
    return request_id


def _failure(code: str, *, retryable: bool = False) -> FailureResult:
    reason = FailureReason(code=code, message="No.", retryable=retryable)
    return FailureResult(status="failure", error="No.", reason=reason)


async def test_answers_are_counted_by_route_and_status(client: httpx.AsyncClient) -> None:
    counted = Growth(api.REGISTRY)
    await client.post("/parse_async", json={"url": "https://a.example/"})
    await client.get("/status/1")
    await client.get("/status/12345")
    await client.put("/status/1")
    await client.get("/nowhere")
    await client.get("/nowhere/else?x=1")
    await client.request("BREW", "/status/1")
    total, count = "page_parser_http_requests_total", "page_parser_http_request_duration_seconds"
    route = "/status/{request_id}"
    assert counted.grown() == {
        f"{total}{{method=POST,route=/parse_async,status=202}}": 1,
        f"{total}{{method=GET,route={route},status=200}}": 1,
        f"{total}{{method=GET,route={route},status=404}}": 1,
        f"{total}{{method=PUT,route={route},status=405}}": 1,
        f"{total}{{method=GET,route=unmatched,status=404}}": 2,
        f"{total}{{method=other,route={route},status=405}}": 1,
        f"{count}_count{{method=POST,route=/parse_async}}": 1,
        f"{count}_count{{method=GET,route={route}}}": 2,
        f"{count}_count{{method=PUT,route={route}}}": 1,
        f"{count}_count{{method=GET,route=unmatched}}": 2,
        f"{count}_count{{method=other,route={route}}}": 1,
    }


async def test_ends_and_attempts_are_counted_exactly(
    settings: Settings, database: Database
) -> None:
    async with open_worker(settings.model_copy(update={"max_attempts": 2})) as jobs:
        ids = [await _add(jobs, database) for _ in range(6)]
        counted = Growth(worker.REGISTRY)
        await jobs.endings.record(
            {
                ids[0]: PAGE,
                ids[1]: PAGE,
                ids[2]: _failure("http_status"),
                ids[3]: _failure("a-foreign-parsers-own"),
                ids[4]: _failure("timeout", retryable=True),
                99_999: PAGE,
            }
        )
        await jobs.endings.record({ids[0]: _failure("timeout")})  # too late: it changes nothing
    prefix = "page_parser_"
    assert counted.grown() == {
        f"{prefix}requests_ended_total{{status=success}}": 2,
        f"{prefix}requests_ended_total{{status=failure}}": 2,
        f"{prefix}requests_failed_total{{code=http_status}}": 1,
        f"{prefix}requests_failed_total{{code=other}}": 1,
        f"{prefix}attempts_failed_total{{next=retry}}": 1,
        f"{prefix}attempts_failed_total{{next=none}}": 2,
        f"{prefix}accepted_to_ended_seconds_count": 4,
        f"{prefix}result_batches_total": 2,
        f"{prefix}results_total": 7,
    }


async def test_the_time_from_acceptance_counts_from_the_row(
    jobs: WorkerContext, database: Database, connection: asyncpg.Connection
) -> None:
    request_id = await _add(jobs, database)
    await connection.execute("UPDATE parse_requests SET created_at = now() - interval '100 s'")
    name = "page_parser_accepted_to_ended_seconds_sum"
    before = worker.REGISTRY.get_sample_value(name) or 0
    await jobs.endings.record({request_id: PAGE})
    assert 100 <= (worker.REGISTRY.get_sample_value(name) or 0) - before < 200


async def test_sweeps_are_counted_by_what_they_did(
    settings: Settings,
    database: Database,
    connection: asyncpg.Connection,
    redis: aioredis.Redis,
) -> None:
    async with open_worker(settings.model_copy(update={"max_attempts": 2})) as jobs:
        due, lost, announced, died, exhausted = [await _add(jobs, database) for _ in range(5)]
        await connection.execute(
            "INSERT INTO parse_requests (url, created_at) SELECT 'https://a.example/',"
            " now() - interval '1 minute' FROM generate_series(1, 3)"
        )
        await connection.execute(
            "UPDATE parse_requests SET next_attempt_at = now(), token = NULL WHERE id = $1", due
        )
        await connection.execute(
            "UPDATE parse_requests SET suspect_since = now() - interval '1 hour' WHERE id = $1",
            lost,
        )
        await connection.execute("UPDATE parse_requests SET attempts = 1 WHERE id = $1", exhausted)
        rows = await connection.fetch("SELECT id, token FROM parse_requests")
        tokens = {row["id"]: row["token"] for row in rows}
        await redis.delete(QUEUE)
        stored = PAGE.model_copy(update={"token": tokens[announced]})
        await redis.set(result_key(announced), stored.model_dump_json())
        dead = {tokens[died]: 1, tokens[exhausted]: 1}
        await redis.zadd(LEASES, dead)
        await redis.zadd(ENDED_LEASES, dead)
        await redis.zadd(TAKERS, {"gone": 1})
        await redis.rpush(taken_key("gone"), json.dumps({"id": 1, "token": "x"}))
        counted = Growth(worker.REGISTRY)
        assert await jobs.sweep.run()
    prefix = "page_parser_"
    actions = {
        "due": 1, "stranded": 3, "died": 1, "exhausted": 1,
        "reclaimed": 1, "announced": 1, "lost": 1,
    }  # fmt: skip
    assert counted.grown() == {
        **{f"{prefix}swept_total{{action={name}}}": number for name, number in actions.items()},
        f"{prefix}jobs_pushed_total": 6,
        f"{prefix}attempts_failed_total{{next=retry}}": 1,
        f"{prefix}attempts_failed_total{{next=none}}": 1,
        f"{prefix}requests_ended_total{{status=failure}}": 1,
        f"{prefix}requests_failed_total{{code=attempts_exhausted}}": 1,
        f"{prefix}accepted_to_ended_seconds_count": 1,
        f"{prefix}sweep_duration_seconds_count": 1,
    }
    assert worker.REGISTRY.get_sample_value(f"{prefix}sweep_last_timestamp_seconds")


async def test_a_sweep_that_somebody_else_does_is_not_counted(
    jobs: WorkerContext, connection: asyncpg.Connection
) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(3180274996)")
        counted = Growth(worker.REGISTRY)
        assert await jobs.sweep.run() is None
    assert counted.grown() == {}


async def test_what_clean_up_deletes_is_counted(
    jobs: WorkerContext, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "INSERT INTO parse_requests (url, status, created_at, updated_at) SELECT 'https://a.example/',"
        " 'success', t, t FROM generate_series(1, 7), (SELECT now() - interval '40 days') AS at(t)"
    )
    counted = Growth(worker.REGISTRY)
    await jobs.retention.expire_and_delete_old()
    assert counted.grown() == {"page_parser_requests_deleted_total": 7}


async def test_a_task_that_is_not_published_is_counted(
    open_api: OpenApp, unused_tcp_port: int
) -> None:
    async with open_api(redis_url=f"redis://127.0.0.1:{unused_tcp_port}/0") as client:
        counted = Growth(api.REGISTRY)
        response = await client.post("/parse_async", json={"url": "https://a.example/"})
        assert response.status_code == 202
        assert counted.grown()["page_parser_tasks_unpublished_total"] == 1


def test_the_codes_are_those_of_the_wire() -> None:
    text = (ROOT / "docs" / "wire-contract.md").read_text().partition("## Codes")[2]
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert documented | {"attempts_exhausted", "expired", "account_deleted"} == worker.COUNTED_CODES
