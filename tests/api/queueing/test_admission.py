"""How much may wait, over HTTP, on a real database and Redis."""

import asyncio
from collections import Counter

import asyncpg
import httpx
import pytest
import redis.asyncio as aioredis

from api_service.config import Settings
from tests.support.app_client import OpenApp
from tests.support.waiting import until

BODY = {"url": "https://a.example/"}
MOST = 50


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_queue_depth": MOST})


async def _fill(connection: asyncpg.Connection, count: int) -> None:
    await connection.execute(
        "INSERT INTO parse_requests (url, status) SELECT 'https://a.example/',"
        " CASE WHEN n % 2 = 0 THEN 'pending' ELSE 'processing' END::parse_request_status"
        " FROM generate_series(1, $1) AS n",
        count,
    )


async def _end_all(connection: asyncpg.Connection) -> None:
    await connection.execute("UPDATE parse_requests SET status = 'success'")


async def _stored(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM parse_requests"))


@pytest.fixture
async def full(connection: asyncpg.Connection, settings: Settings) -> None:
    await _fill(connection, MOST)


async def test_beyond_its_depth_the_queue_is_full_and_nothing_is_stored(
    full: None, client: httpx.AsyncClient, connection: asyncpg.Connection, redis: aioredis.Redis
) -> None:
    for headers in ({}, {"Idempotency-Key": "k"}):
        response = await client.post("/parse_async", json=BODY, headers=headers)
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "queue_full"
        assert int(response.headers["retry-after"]) >= 1
    assert await _stored(connection) == MOST
    assert await connection.fetchval("SELECT count(*) FROM idempotency_keys") == 0
    assert await redis.llen("api") == 0
    assert (await client.get("/status/1")).status_code == 200


async def test_there_is_room_again_when_requests_have_ended(
    full: None, client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    assert (await client.post("/parse_async", json=BODY)).status_code == 503
    await _end_all(connection)

    async def accepted() -> bool:
        return (await client.post("/parse_async", json=BODY)).status_code == 202

    await until(accepted, seconds=30)


async def test_many_at_once_overshoot_by_nothing(
    open_api: OpenApp, connection: asyncpg.Connection
) -> None:
    await _fill(connection, MOST - 20)
    async with open_api() as client:
        for _ in range(12):
            # Over more than one count, with requests in flight during each.
            posts = [client.post("/parse_async", json=BODY) for _ in range(40)]
            answers = await asyncio.gather(*posts)
            assert {answer.status_code for answer in answers} <= {202, 503}
            assert await _stored(connection) <= MOST
            await asyncio.sleep(0.2)
    assert await _stored(connection) == MOST


async def test_requests_under_way_while_it_is_counted_are_not_forgotten(
    open_api: OpenApp, connection: asyncpg.Connection
) -> None:
    async with open_api(database_timeout=30) as client:
        await _fill(connection, MOST - 10)
        await asyncio.sleep(5.5)  # the next request has it counted
        blocker = connection.transaction()
        await blocker.start()
        await connection.execute("LOCK TABLE parse_requests IN SHARE MODE")
        first = [asyncio.create_task(client.post("/parse_async", json=BODY)) for _ in range(40)]
        await asyncio.sleep(1.5)  # all of them wait for the lock; counting does not
        then = [asyncio.create_task(client.post("/parse_async", json=BODY)) for _ in range(40)]
        await asyncio.sleep(1)
        await blocker.rollback()
        codes = Counter(answer.status_code for answer in await asyncio.gather(*first, *then))
        # Until it was counted, they were measured by the count of an empty table.
        assert codes[202] <= 40
        assert codes[202] + codes[503] == 80


async def test_a_new_process_counts_before_it_accepts(
    full: None, open_api: OpenApp, connection: asyncpg.Connection
) -> None:
    for _ in range(2):
        async with open_api() as client:
            answers = [await client.post("/parse_async", json=BODY) for _ in range(3)]
            assert {answer.status_code for answer in answers} == {503}
    assert await _stored(connection) == MOST


async def test_finished_requests_take_no_room(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    await _fill(connection, 10 * MOST)
    await _end_all(connection)
    for _ in range(MOST):
        assert (await client.post("/parse_async", json=BODY)).status_code == 202
    assert (await client.post("/parse_async", json=BODY)).status_code == 503
