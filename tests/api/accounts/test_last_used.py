"""When a key was last used is written off the path of requests, once a minute."""

from datetime import datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from api_service.accounts import last_used as module
from api_service.accounts.last_used import KeyUses
from api_service.database import Database
from tests.api.accounts.people import People
from tests.support.waiting import until

LAST_USED = "SELECT last_used_at FROM api_keys"


@pytest.fixture
async def uses(database: Database) -> KeyUses:
    return KeyUses(database)


async def test_the_first_use_is_written_and_listed(
    people: People, connection: asyncpg.Connection
) -> None:
    session = await people.join()
    key = await people.create_key(session)
    assert key["last_used_at"] is None
    await people.me(key["key"])

    async def is_listed() -> bool:
        [item] = (await people.call("GET", "/auth/keys", session)).json()["items"]
        return item["last_used_at"] is not None

    await until(is_listed, seconds=5)


@pytest.mark.parametrize(("age", "written"), [("59 seconds", False), ("61 seconds", True)])
async def test_a_use_is_written_at_most_once_a_minute(
    people: People, uses: KeyUses, connection: asyncpg.Connection, age: str, written: bool
) -> None:
    key = await people.create_key(await people.join())
    before: datetime = await connection.fetchval(
        f"UPDATE api_keys SET last_used_at = now() - interval '{age}' RETURNING last_used_at"
    )
    uses.note([UUID(key["id"])])
    await uses.write()
    assert (await connection.fetchval(LAST_USED) > before) == written


async def test_a_row_that_another_process_writes_is_left_to_it(
    people: People, uses: KeyUses, connection: asyncpg.Connection
) -> None:
    key = await people.create_key(await people.join())
    async with connection.transaction():
        await connection.execute("UPDATE api_keys SET last_used_at = NULL")
        uses.note([UUID(key["id"])])
        await uses.write()


async def test_what_waits_to_be_written_is_bounded(
    uses: KeyUses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 5)
    uses.note(uuid4() for _ in range(100))
    assert len(uses._used) == 5
    await uses.write()  # they are in no table
    assert not uses._used


async def test_a_stop_writes_what_is_left(
    people: People, uses: KeyUses, connection: asyncpg.Connection
) -> None:
    key = await people.create_key(await people.join())
    uses.note([UUID(key["id"])])
    await uses.close()
    assert await connection.fetchval(LAST_USED) is not None
