"""How much may wait, over HTTP, on a real database and Redis."""

import asyncio

import asyncpg
import httpx
import pytest
import redis.asyncio as aioredis

from api_service.config import Settings
from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.endings.wakeups import EndingListener
from api_service.exceptions import QueueFullError
from api_service.queueing.admission import LOOK_SECONDS, Admission
from api_service.queueing.unfinished import UnfinishedCount
from tests.support.app_client import OpenApp
from tests.support.clock import Clock
from tests.support.waiting import until

BODY = {"url": "https://a.example/"}
MOST = 50


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_queue_depth": MOST})


@pytest.fixture
def unfinished(database: Database, database_url: str) -> UnfinishedCount:
    return _count(database, database_url)


def _count(database: Database, database_url: str) -> UnfinishedCount:
    listener = EndingListener(read_database_url(database_url))  # it hears nothing
    return UnfinishedCount(database, listener, limit=MOST)


def _is_looking(admission: Admission) -> bool:
    return admission._looking is not None


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
    unfinished: UnfinishedCount, connection: asyncpg.Connection
) -> None:
    clock = Clock()
    admission = await Admission.open(unfinished, max_unfinished=MOST, clock=clock)
    await _fill(connection, MOST - 10)
    clock.now += LOOK_SECONDS
    stored = asyncio.Event()

    async def accept() -> bool:
        try:
            with admission.reserve_place():
                await stored.wait()
        except QueueFullError:
            return False
        return True

    # Until it has looked, they are measured by the count of an empty table.
    first = [asyncio.create_task(accept()) for _ in range(40)]
    await asyncio.sleep(0)
    await until(lambda: not _is_looking(admission))
    then = [asyncio.create_task(accept()) for _ in range(40)]
    await asyncio.sleep(0)
    stored.set()
    assert all(await asyncio.gather(*first))
    assert not any(await asyncio.gather(*then))


async def test_it_looks_once_a_second(unfinished: UnfinishedCount) -> None:
    clock = Clock()
    admission = await Admission.open(unfinished, max_unfinished=MOST, clock=clock)
    clock.now += LOOK_SECONDS - 0.1
    with admission.reserve_place():
        assert not _is_looking(admission)
    clock.now += 0.2
    with admission.reserve_place():
        assert _is_looking(admission)
    await until(lambda: not _is_looking(admission))


async def test_a_look_that_fails_leaves_the_last_one(
    unfinished: UnfinishedCount, connection: asyncpg.Connection
) -> None:
    await _fill(connection, MOST)
    admission = await Admission.open(unfinished, max_unfinished=MOST)
    nowhere = "postgresql+asyncpg://postgres@127.0.0.1:1/none"
    unreachable = Database(read_database_url(nowhere), timeout=1)
    admission._unfinished = _count(unreachable, nowhere)
    await admission.look()
    with pytest.raises(QueueFullError), admission.reserve_place():
        pass
    await unreachable.dispose()


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


async def test_what_was_accepted_during_a_look_is_not_forgotten(
    unfinished: UnfinishedCount,
) -> None:
    admission = await Admission.open(unfinished, max_unfinished=MOST, clock=Clock())
    looking = asyncio.create_task(admission.look())
    await asyncio.sleep(0)  # it has begun, and sees no row that is stored from now on
    for _ in range(MOST):
        with admission.reserve_place():
            pass
    await looking
    with pytest.raises(QueueFullError), admission.reserve_place():
        pass
