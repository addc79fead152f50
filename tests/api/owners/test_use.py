"""What a caller uses of its limits, over HTTP and alone, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import redis.asyncio as aioredis
from fastapi import Request

from api_service.caller import ANONYMOUS, Caller, CallerLimits
from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.dependencies import current_caller
from api_service.exceptions import DatabaseUnavailableError, RateLimitedError
from api_service.owners import use
from api_service.owners.settled_start import FULL_COUNT_SECONDS, SETTLE_SECONDS
from api_service.owners.use import MIN_FAR_PAUSE_SECONDS, CallerUse, OwnedAmounts
from tests.support.app_client import AppClient, OpenApp
from tests.support.clock import Clock
from tests.support.servers import dsn
from tests.support.waiting import until

ADA, BOB = uuid4(), uuid4()
MOST = 20
LIMITED = Caller(ADA, limits=CallerLimits(unfinished_requests=MOST))
BODY = {"url": "https://a.example/"}


async def _from_header(request: Request) -> Caller:
    owner = request.headers.get("x-owner")
    limits = CallerLimits(unfinished_requests=MOST, stored_bytes=1000)
    return Caller(UUID(owner), limits=limits) if owner else ANONYMOUS


@pytest.fixture
async def client(open_api: OpenApp) -> AsyncIterator[AppClient]:
    async with open_api(database_timeout=20) as opened:  # on a busy machine, too
        opened.app.dependency_overrides[current_caller] = _from_header
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def caller_use(database: Database, clock: Clock) -> CallerUse:
    return CallerUse(database, timeout=5, clock=clock)


def _as(owner: UUID | None) -> dict[str, str]:
    return {"x-owner": str(owner)} if owner else {}


async def _fill(
    connection: asyncpg.Connection, number: int, owner: UUID | None = ADA, status: str = "pending"
) -> None:
    await connection.execute(
        "INSERT INTO parse_requests (url, status, owner_id) SELECT 'https://a.example/',"
        " $3::text::parse_request_status, $2 FROM generate_series(1, $1)",
        *(number, owner, status),
    )


async def _stored(connection: asyncpg.Connection, owner: UUID | None = ADA) -> int:
    query = "SELECT count(*) FROM parse_requests WHERE owner_id IS NOT DISTINCT FROM $1"
    return int(await connection.fetchval(query, owner))


async def test_at_its_limit_a_caller_is_refused_and_nothing_is_stored(
    client: httpx.AsyncClient, connection: asyncpg.Connection, redis: aioredis.Redis
) -> None:
    await _fill(connection, MOST)
    for key in ({}, {"Idempotency-Key": "k"}):
        answer = await client.post("/parse_async", json=BODY, headers=_as(ADA) | key)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1
        assert str(MOST) in answer.json()["detail"]
    assert await _stored(connection) == MOST
    assert not await connection.fetchval("SELECT count(*) FROM idempotency_keys")
    assert not await redis.llen("api")
    for other in (BOB, None):
        answer = await client.post("/parse_async", json=BODY, headers=_as(other))
        assert answer.status_code == 202


async def test_a_repeated_request_gets_its_first_answer_also_at_the_limit(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    headers = _as(ADA) | {"Idempotency-Key": "k"}
    first = await client.post("/parse_async", json=BODY, headers=headers)
    await _fill(connection, MOST)
    again = await client.post("/parse_async", json=BODY, headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())


async def test_there_is_room_as_soon_as_requests_have_ended(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    await _fill(connection, MOST)
    await client.post("/parse_async", json=BODY, headers=_as(ADA))
    await connection.execute("UPDATE parse_requests SET status = 'failure'")

    async def accepted() -> bool:
        answer = await client.post("/parse_async", json=BODY, headers=_as(ADA))
        return answer.status_code == 202

    await until(accepted, seconds=5)


async def test_many_at_once_exceed_the_limit_by_nothing_and_reach_it(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    for _ in range(4):
        keys = [{"Idempotency-Key": f"{n}"} if n % 2 else {} for n in range(40)]
        posts = [client.post("/parse_async", json=BODY, headers=_as(ADA) | key) for key in keys]
        answers = await asyncio.gather(*posts)
        assert {answer.status_code for answer in answers} <= {202, 429}
        assert await _stored(connection) == MOST
        await asyncio.sleep(0.1)


async def test_a_caller_who_stores_as_much_as_it_may_is_refused(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    await connection.execute("INSERT INTO stored_bytes VALUES ($1, 1000)", ADA)
    answer = await client.post("/parse_async", json=BODY, headers=_as(ADA))
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert "1,000 bytes" in answer.json()["detail"]
    assert not await _stored(connection)
    assert (await client.post("/parse_async", json=BODY, headers=_as(BOB))).status_code == 202


async def test_use_is_read_and_of_anonymous_callers_nothing_is_counted(
    caller_use: CallerUse, connection: asyncpg.Connection, clock: Clock
) -> None:
    await _fill(connection, 7)
    await _fill(connection, 5, status="success")
    await _fill(connection, 3, BOB)
    await _fill(connection, 9, None)
    await connection.execute("INSERT INTO stored_bytes VALUES ($1, 1234)", ADA)
    assert await caller_use.read(LIMITED) == OwnedAmounts(7, 1234)
    assert await caller_use.read(Caller(BOB)) == OwnedAmounts(3, 0)
    assert await caller_use.read(ANONYMOUS) == OwnedAmounts(None, None)
    await _fill(connection, 100)
    clock.now += 60
    assert (await caller_use.read(LIMITED)).unfinished_requests == MOST + 1  # counts no further
    assert (await caller_use.read(Caller(ADA))).unfinished_requests == MOST + 1
    clock.now += 60
    assert (await caller_use.read(Caller(ADA))).unfinished_requests == 107


async def _count_statements(caller_use: CallerUse, number: int) -> int:
    counted = 0
    original = caller_use._count_all

    async def counting(asked: object) -> object:
        nonlocal counted
        counted += 1
        return await original(asked)  # type: ignore[arg-type]

    caller_use._counts._run = counting  # type: ignore[assignment]
    for _ in range(number):
        async with caller_use.admit(LIMITED):
            await asyncio.sleep(0.01)  # a count may be under way meanwhile
    return counted


async def test_far_from_the_limit_most_requests_send_no_statement(
    caller_use: CallerUse, clock: Clock
) -> None:
    assert await _count_statements(caller_use, 10) == 1
    clock.now += MIN_FAR_PAUSE_SECONDS
    assert await _count_statements(caller_use, 5) == 1


async def test_without_limits_nothing_is_counted(caller_use: CallerUse) -> None:
    for caller in (ANONYMOUS, Caller(ADA)):
        async with caller_use.admit(caller):
            pass
    assert not caller_use._uses


async def test_what_was_accepted_since_the_count_takes_room(
    caller_use: CallerUse, connection: asyncpg.Connection
) -> None:
    await _fill(connection, MOST - 5)
    for _ in range(5):
        async with caller_use.admit(LIMITED):
            pass
    with pytest.raises(RateLimitedError):
        async with caller_use.admit(LIMITED):
            pass


async def test_a_slow_count_near_the_limit_is_made_less_often(
    database: Database, connection: asyncpg.Connection
) -> None:
    clock = Clock()
    caller_use = CallerUse(database, timeout=5, clock=clock)
    await _fill(connection, MOST)

    async def refused() -> bool:
        try:
            async with caller_use.admit(LIMITED):
                return False
        except RateLimitedError:
            return True

    assert await refused()
    caller_use._use_of(ADA).cost = 0.1
    await connection.execute("UPDATE parse_requests SET status = 'failure'")
    clock.now += 1.9
    assert await refused()
    clock.now += 0.2
    assert not await refused()


async def test_a_count_starts_behind_what_had_ended_when_nothing_can_be_committed_before_it(
    caller_use: CallerUse, connection: asyncpg.Connection, clock: Clock, database_url: str
) -> None:
    """A transaction that began before two counts must not be missed by the third."""
    await _fill(connection, 3, status="success")
    late = connection.transaction()
    await late.start()
    await _fill(connection, 1)
    other = await asyncpg.connect(dsn(database_url))
    await _fill(other, 4)
    await _fill(other, 9, BOB)
    for _ in range(3):
        assert (await caller_use.read(LIMITED)).unfinished_requests == 4
        clock.now += 1
    await late.commit()
    await other.close()
    assert (await caller_use.read(LIMITED)).unfinished_requests == 5
    first = caller_use._use_of(ADA).first
    assert first.get(clock.now) == 0
    for _ in range(3):
        clock.now += SETTLE_SECONDS
        assert (await caller_use.read(LIMITED)).unfinished_requests == 5
    assert first.get(clock.now) > 3
    clock.now += FULL_COUNT_SECONDS
    assert first.get(clock.now) == 0


async def test_an_owner_is_forgotten_only_when_idle(
    caller_use: CallerUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use, "MAX_OWNERS", 2)
    async with caller_use.admit(LIMITED):
        for _ in range(5):
            async with caller_use.admit(replace(LIMITED, owner_id=uuid4())):
                pass
        assert ADA in caller_use._uses
        assert len(caller_use._uses) == 2


async def test_without_a_database_a_known_caller_is_measured_by_what_was_seen_last(
    caller_use: CallerUse, connection: asyncpg.Connection, clock: Clock
) -> None:
    await _fill(connection, MOST)
    with pytest.raises(RateLimitedError):
        async with caller_use.admit(LIMITED):
            pass
    address = read_database_url("postgresql+asyncpg://postgres@127.0.0.1:1/none")
    caller_use._database = unreachable = Database(address, timeout=1)
    clock.now += 100
    with pytest.raises(RateLimitedError):
        async with caller_use.admit(LIMITED):
            pass
    with pytest.raises(DatabaseUnavailableError):
        async with caller_use.admit(replace(LIMITED, owner_id=BOB)):
            pass
    await unreachable.dispose()
