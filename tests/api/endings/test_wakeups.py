"""The listener that wakes long polls, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import structlog

from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.endings.repository import ENDED_CHANNEL, EndingRepository
from api_service.endings.wakeups import EndingListener
from tests.support.waiting import until

LISTENING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


@pytest.fixture
async def listener(
    database_url: str, connection: asyncpg.Connection
) -> AsyncIterator[EndingListener]:
    opened = EndingListener(read_database_url(database_url))
    opened.open()

    # The server shows the statement before it takes effect.
    await until(lambda: opened.connected == 1)
    yield opened
    await opened.close()


async def _end(database: Database, *request_ids: int) -> None:
    async with database.transaction() as session:
        await EndingRepository(session).notify_ended(request_ids)


async def test_waiters_of_ended_requests_are_woken_and_no_others(
    listener: EndingListener, database: Database
) -> None:
    with (
        listener.subscription(1) as first,
        listener.subscription(1) as second,
        listener.subscription(2) as other,
    ):
        await _end(database, 1, 3)
        async with asyncio.timeout(5):
            await asyncio.gather(first.wait(), second.wait())
        assert not other.is_set()


async def test_more_ends_than_one_notice_holds_wake_all(
    listener: EndingListener, database: Database
) -> None:
    last = 10**18
    with listener.subscription(last) as event:
        await _end(database, *range(last - 999, last + 1))
        async with asyncio.timeout(5):
            await event.wait()


async def test_it_counts_the_ends_that_it_was_told_of(
    listener: EndingListener, database: Database
) -> None:
    with listener.subscription(3) as event:
        await _end(database, 1, 2)
        await _end(database, 3)
        async with asyncio.timeout(5):
            await event.wait()
    assert listener.ended == 3


@pytest.mark.parametrize("payload", ["", "abc", "1,", "1,x"])
async def test_a_notice_of_another_program_is_ignored(
    listener: EndingListener, database: Database, connection: asyncpg.Connection, payload: str
) -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    with structlog.testing.capture_logs() as lines, listener.subscription(7) as event:
        await connection.execute("SELECT pg_notify($1, $2)", ENDED_CHANNEL, payload)
        await _end(database, 7)
        async with asyncio.timeout(5):
            await event.wait()
    assert not failures
    assert listener.ended == 1
    assert [(line["log_level"], line["payload"]) for line in lines] == [("debug", payload)]


async def test_it_listens_again_after_its_connection_broke(
    listener: EndingListener, database: Database, connection: asyncpg.Connection
) -> None:
    [broken] = await connection.fetch(LISTENING)
    await connection.execute("SELECT pg_terminate_backend($1)", broken["pid"])

    async def is_listening_again() -> bool:
        found = await connection.fetch(LISTENING)
        return [row["pid"] for row in found] not in ([], [broken["pid"]])

    await until(is_listening_again)
    await until(lambda: listener.connected == 2)
    with listener.subscription(1) as event:
        await _end(database, 1)
        async with asyncio.timeout(5):
            await event.wait()


async def test_a_stop_wakes_every_waiter(listener: EndingListener) -> None:
    with listener.subscription(1) as first, listener.subscription(2) as second:
        listener.end_waits()
        assert first.is_set()
        assert second.is_set()
    assert listener.is_closing
