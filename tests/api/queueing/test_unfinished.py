"""How many requests are unfinished, known between two counts, on a real database."""

import asyncpg
import pytest

from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.endings.wakeups import EndingListener
from api_service.exceptions import DatabaseUnavailableError
from api_service.queueing.unfinished import (
    COST_FACTOR,
    FULL_COUNT_SECONDS,
    MAX_PAUSE_SECONDS,
    SETTLE_SECONDS,
    UnfinishedCount,
)
from tests.support.clock import Clock

LIMIT = 100


class _SlowClock(Clock):
    """Passes a tenth of a second each time somebody looks at it: every count is a slow one."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0.1

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def clock() -> _SlowClock:
    return _SlowClock()


@pytest.fixture
def listener(database_url: str) -> EndingListener:
    """Listen to nobody but the test."""
    return EndingListener(read_database_url(database_url))


@pytest.fixture
def count(database: Database, listener: EndingListener, clock: _SlowClock) -> UnfinishedCount:
    return UnfinishedCount(database, listener, limit=LIMIT, clock=clock)


async def _add(connection: asyncpg.Connection, number: int, status: str = "processing") -> None:
    await connection.execute(
        "INSERT INTO parse_requests (url, status, created_at)"
        " SELECT 'https://a.example/', $2::text::parse_request_status, now() - interval '9 s'"
        " FROM generate_series(1, $1) AS n",
        *(number, status),
    )


async def _end(connection: asyncpg.Connection, number: int) -> None:
    await connection.execute(
        "UPDATE parse_requests SET status = 'success' WHERE id IN ("
        " SELECT id FROM parse_requests WHERE status = 'processing' ORDER BY id LIMIT $1)",
        number,
    )


async def test_between_two_counts_the_accepted_are_added_and_the_ended_subtracted(
    count: UnfinishedCount,
    connection: asyncpg.Connection,
    listener: EndingListener,
    clock: _SlowClock,
) -> None:
    await _add(connection, 50)
    assert await count.look() == 50
    clock.now += SETTLE_SECONDS
    await _add(connection, 20)
    await _end(connection, 30)  # without a notice, as no statement of ours does it
    assert await count.look() == 70
    listener.ended += 30
    assert await count.look() == 40


async def test_a_notice_that_follows_the_count_is_of_an_end_that_was_counted(
    count: UnfinishedCount,
    connection: asyncpg.Connection,
    listener: EndingListener,
    clock: _SlowClock,
) -> None:
    await _add(connection, 50)
    await _end(connection, 10)
    assert await count.look() == 40
    listener.ended += 10
    assert await count.look() == 40
    clock.now += SETTLE_SECONDS
    assert await count.look() == 40


async def test_the_next_count_sees_what_no_notice_told(
    count: UnfinishedCount, connection: asyncpg.Connection, clock: _SlowClock
) -> None:
    await _add(connection, 50)
    assert await count.look() == 50
    await _end(connection, 30)
    clock.now += clock.step * COST_FACTOR / 2
    assert await count.look() == 50
    clock.now += clock.step * COST_FACTOR
    assert await count.look() == 20


async def test_no_count_is_later_than_a_minute(
    count: UnfinishedCount, connection: asyncpg.Connection, clock: _SlowClock
) -> None:
    clock.step = MAX_PAUSE_SECONDS / 4
    await count.look()
    clock.step = 0.01
    await _add(connection, 1, "failure")
    assert await count.look() == 1
    clock.now += MAX_PAUSE_SECONDS
    assert await count.look() == 0


async def test_it_counts_anew_when_notices_may_have_been_missed(
    count: UnfinishedCount, connection: asyncpg.Connection, listener: EndingListener
) -> None:
    await _add(connection, 50)
    assert await count.look() == 50
    await _end(connection, 30)
    assert await count.look() == 50
    listener.connected += 1
    assert await count.look() == 20


async def test_a_quick_count_is_made_at_each_look(
    count: UnfinishedCount, connection: asyncpg.Connection, clock: _SlowClock
) -> None:
    clock.step = 0.0
    for number in range(1, 4):
        await _add(connection, 1)
        await _add(connection, 1, "failure")
        assert await count.look() == number


async def test_a_count_starts_behind_what_had_ended_and_now_and_then_at_the_bottom(
    count: UnfinishedCount, connection: asyncpg.Connection, clock: _SlowClock
) -> None:
    clock.step = 0.0
    await _add(connection, 20, "success")
    await _add(connection, 10)
    for _ in range(3):
        assert await count.look() == 10
    # As a row does that is committed long after rows that it precedes.
    await connection.execute("UPDATE parse_requests SET status = 'pending' WHERE id = 1")
    assert await count.look() == 10
    clock.now += FULL_COUNT_SECONDS
    assert await count.look() == 11


async def test_twice_the_limit_is_counted_and_no_more(
    count: UnfinishedCount, connection: asyncpg.Connection
) -> None:
    await _add(connection, 3 * LIMIT)
    assert await count.look() == 2 * LIMIT


async def test_the_oldest_ages_between_two_counts(
    count: UnfinishedCount, connection: asyncpg.Connection, clock: _SlowClock
) -> None:
    await _add(connection, 5)
    await count.look()
    clock.now += 30
    ages = {name: state.oldest_age // 10 for name, state in count.states.items()}
    assert ages == {"pending": 0, "processing": 3, "retrying": 0}


async def test_a_look_that_fails_says_so_and_the_next_goes_on(
    count: UnfinishedCount, connection: asyncpg.Connection, clock: _SlowClock
) -> None:
    await _add(connection, 5)
    assert await count.look() == 5
    database = count._database
    address = read_database_url("postgresql+asyncpg://postgres@127.0.0.1:1/none")
    count._database = Database(address, timeout=1)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError):
            await count.look()
        clock.now += MAX_PAUSE_SECONDS
    await count._database.dispose()
    count._database = database
    await _add(connection, 1)
    assert await count.look() == 6
