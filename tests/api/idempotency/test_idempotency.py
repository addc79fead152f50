"""Clients that ask again with the same Idempotency-Key, on a real database."""

import asyncio
import hashlib
import re
from collections import Counter
from typing import Any

import asyncpg
import httpx
import pytest
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext
from tests.support.app_client import AppClient, OpenApp
from tests.support.servers import dsn
from tests.support.waiting import until

URL = "https://a.example/"


async def _post(
    client: httpx.AsyncClient, key: str, url: str = URL, *, caller: str = "", **options: Any
) -> httpx.Response:
    headers = {"Idempotency-Key": key} | ({"Authorization": caller} if caller else {})
    return await client.post("/parse_async", json={"url": url} | options, headers=headers)


async def _rows(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM parse_requests"))


def _is_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


async def test_the_first_answer_comes_again(
    client: httpx.AsyncClient,
    connection: asyncpg.Connection,
    redis: aioredis.Redis,
    jobs: WorkerContext,
) -> None:
    first = await _post(client, "k")
    assert first.status_code == 202
    again = await _post(client, "k")
    await jobs.handover.hand_over_pending([first.json()["request_id"]])
    much_later = await _post(client, "k")
    for answer in (again, much_later):
        assert (answer.status_code, answer.json()) == (202, first.json())
        assert answer.headers["location"] == first.headers["location"]
    assert await _rows(connection) == 1
    assert await redis.llen("api") == 1


async def test_the_same_url_written_otherwise_is_the_same_request(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    first = await _post(client, "k")
    assert (await _post(client, "k", "HTTPS://A.example:443")).json() == first.json()
    assert (await _post(client, "k", title_fallback=False)).json() == first.json()
    assert await _rows(connection) == 1


@pytest.mark.parametrize(
    "other", [{"url": "https://b.example/"}, {"title_fallback": True}, {"respect_robots": True}]
)
async def test_a_key_is_for_one_request_only(
    client: httpx.AsyncClient, connection: asyncpg.Connection, other: dict[str, Any]
) -> None:
    first = await _post(client, "k")
    _is_problem(await _post(client, "k", **other), 422, "idempotency_mismatch")
    assert (await _post(client, "k")).json() == first.json()
    assert await _rows(connection) == 1


async def test_while_the_first_is_being_accepted_others_are_told_to_come_again(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    # The first cannot commit while another transaction holds the table.
    blocker = connection.transaction()
    await blocker.start()
    await connection.execute("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
    first = asyncio.create_task(_post(client, "k"))
    await _until_a_lock_is_awaited(connection)
    second = await _post(client, "k")
    _is_problem(second, 409, "idempotency_in_progress")
    assert int(second.headers["retry-after"]) >= 1
    await blocker.rollback()
    answer = await first
    assert answer.status_code == 202
    assert (await _post(client, "k")).json() == answer.json()
    assert await _rows(connection) == 1


async def _until_a_lock_is_awaited(connection: asyncpg.Connection) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    await until(lambda: connection.fetchval(query), seconds=30)


async def test_a_first_request_that_failed_leaves_the_key_free(
    open_api: OpenApp, connection: asyncpg.Connection
) -> None:
    async with open_api(database_timeout=0.5) as client:
        blocker = connection.transaction()
        await blocker.start()
        await connection.execute("LOCK TABLE parse_requests IN ACCESS EXCLUSIVE MODE")
        _is_problem(await _post(client, "k"), 503, "database_unavailable")
        await blocker.rollback()

        async def is_accepted() -> bool:  # the server may notice a moment later
            return (await _post(client, "k")).status_code == 202

        await until(is_accepted, seconds=30)
    assert await _rows(connection) == 1


async def test_20_at_once_with_one_key_are_one_request(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    answers = await asyncio.gather(*(_post(client, "k") for _ in range(20)))
    codes = Counter(answer.status_code for answer in answers)
    assert codes[202] >= 1
    assert codes[202] + codes[409] == 20
    assert len({answer.json()["request_id"] for answer in answers if answer.is_success}) == 1
    assert await _rows(connection) == 1


async def test_20_keys_at_once_are_20_requests(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    answers = await asyncio.gather(*(_post(client, f"k{number}") for number in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert await _rows(connection) == 20


async def test_keys_of_different_callers_do_not_meet(
    client: AppClient, connection: asyncpg.Connection
) -> None:
    ids = []
    for address in ("192.0.2.1", "192.0.2.2"):
        async with client.from_address(address) as there:
            ids.append((await _post(there, "k")).json()["request_id"])
            for caller in ("Digest one", "Digest two"):
                answer = await _post(there, "k", caller=f"{caller} {address}")
                ids.append(answer.json()["request_id"])
    assert len(set(ids)) == 6
    kept = await connection.fetch("SELECT caller FROM idempotency_keys")
    assert all(re.fullmatch("[0-9a-f]{64}", row["caller"]) for row in kept)  # no credentials


async def test_a_caller_is_known_from_any_address_by_its_credentials(client: AppClient) -> None:
    ids = set()
    for address in ("192.0.2.1", "192.0.2.2"):
        async with client.from_address(address) as there:
            ids.add((await _post(there, "k", caller="Digest one")).json()["request_id"])
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("caller", "scope"),
    [("", "host 127.0.0.1"), ("Digest one", "Digest one"), ("Host 1", "Host 1")],
)
async def test_keys_that_an_earlier_version_kept_are_found(
    client: httpx.AsyncClient, connection: asyncpg.Connection, caller: str, scope: str
) -> None:
    await _post(client, "k", caller=caller)
    kept = await connection.fetchval("SELECT caller FROM idempotency_keys")
    assert kept == hashlib.sha256(scope.encode()).hexdigest()


async def test_a_key_is_kept_for_24_hours_by_the_databases_clock(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    older = "UPDATE idempotency_keys SET created_at = created_at - $1::text::interval"
    first = await _post(client, "k")
    await connection.execute(older, "23 hours 59 minutes")
    assert (await _post(client, "k")).json() == first.json()
    await connection.execute(older, "1 minute")
    other = await _post(client, "k", "https://b.example/")
    assert other.status_code == 202
    assert other.json() != first.json()
    assert (await _post(client, "k", "https://b.example/")).json() == other.json()
    assert await _rows(connection) == 2


async def test_the_sweep_forgets_keys_that_were_kept_long_enough(
    client: httpx.AsyncClient, connection: asyncpg.Connection, jobs: WorkerContext
) -> None:
    for key in ("old", "young"):
        await _post(client, key)
    await connection.execute(
        "UPDATE idempotency_keys SET created_at = now() - interval '24 hours' WHERE key = 'old'"
    )
    await jobs.sweep.run()
    kept = await connection.fetch("SELECT key FROM idempotency_keys")
    assert [row["key"] for row in kept] == ["young"]


async def test_keys_are_forgotten_as_fast_as_clients_make_them(
    connection: asyncpg.Connection, jobs: WorkerContext
) -> None:
    await connection.execute(
        "INSERT INTO idempotency_keys (caller, key, fingerprint, request_id, created_at)"
        " SELECT 'c', 'k' || n, 'f', n, now() - interval '25 hours'"
        " FROM generate_series(1, 20000) AS n"
    )
    await jobs.sweep.run()
    assert await connection.fetchval("SELECT count(*) FROM idempotency_keys") == 0


async def test_a_repeat_is_answered_while_the_queue_is_full(
    open_api: OpenApp, connection: asyncpg.Connection
) -> None:
    async with open_api(max_queue_depth=1) as client:
        first = await _post(client, "k")
        _is_problem(await _post(client, "other"), 503, "queue_full")
        again = await _post(client, "k")
        assert (again.status_code, again.json()) == (202, first.json())
        _is_problem(await _post(client, "k", title_fallback=True), 422, "idempotency_mismatch")


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "\t", b"\xe9", b"\xff", b"a\x7f"])
async def test_a_malformed_key_is_refused(
    client: httpx.AsyncClient, connection: asyncpg.Connection, key: str | bytes
) -> None:
    headers = [(b"Idempotency-Key", key if isinstance(key, bytes) else key.encode())]
    response = await client.post("/parse_async", json={"url": URL}, headers=headers)
    _is_problem(response, 422, "invalid_request")
    assert await _rows(connection) == 0


@pytest.mark.parametrize("key", ["a", "a" * 255, "';DROP_TABLE_x;--", '\x7e!"#%', '"8e03978e"'])
async def test_any_visible_key_is_fine(client: httpx.AsyncClient, key: str) -> None:
    first = await _post(client, key)
    assert first.status_code == 202
    assert (await _post(client, key)).json() == first.json()


async def test_a_refused_request_keeps_no_key(client: httpx.AsyncClient, database_url: str) -> None:
    refused = await _post(client, "k", "ftp://a.example/")
    assert refused.status_code == 422
    assert (await _post(client, "k")).status_code == 202
    connection = await asyncpg.connect(dsn(database_url))
    assert await _rows(connection) == 1
    await connection.close()
