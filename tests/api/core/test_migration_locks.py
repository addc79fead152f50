"""A migration that has to wait does not make others wait, and says for whom it waited."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from time import monotonic

import asyncpg
import pytest

from tests.support.migrations import ROOT, alembic
from tests.support.servers import dsn
from tests.support.waiting import until

OLDER = "0003"
"""The migration after it changes a table that is in use."""
MIGRATION_LOCK = 7_214_090_531
MOST_SECONDS = 1.0
"""The wait of a migration for a lock, and some time for a busy machine."""


@pytest.fixture
def older_database_url(empty_database_url: str) -> str:
    assert alembic(empty_database_url, "upgrade", OLDER).returncode == 0
    return empty_database_url


@pytest.fixture
async def holder(older_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection whose transaction reads the table for as long as the test wants."""
    settings = {"application_name": "long report"}
    opened = await asyncpg.connect(dsn(older_database_url), server_settings=settings)
    yield opened
    await opened.close()


@pytest.fixture
async def other(older_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(dsn(older_database_url))
    yield opened
    await opened.close()


def _upgrade(url: str, *, wait: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", "-x", f"wait={wait}", "upgrade", "head"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url, "PGAPPNAME": "the migration"},
        stderr=subprocess.PIPE,
        text=True,
    )


async def _finish(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    _, errors = await asyncio.to_thread(process.communicate, timeout=60)
    return process.returncode, errors.splitlines()


async def _has_facts(connection: asyncpg.Connection) -> bool:
    query = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'facts'"
    return bool(await connection.fetchval(query))


@pytest.mark.slow
async def test_readers_do_not_wait_for_a_migration_that_waits_for_a_long_reader(
    older_database_url: str, holder: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    waits = []
    async with holder.transaction():
        await holder.fetch("SELECT count(*) FROM parse_requests")
        migration = _upgrade(older_database_url, wait=60)
        end = monotonic() + 10
        while monotonic() < end:
            started = monotonic()
            await other.fetch("SELECT count(*) FROM parse_requests", timeout=30)
            waits.append(monotonic() - started)
            await asyncio.sleep(0.02)
        assert migration.poll() is None
    assert await _finish(migration) == (0, [])
    assert max(waits) < MOST_SECONDS
    assert len([wait for wait in waits if wait > 0.03]) >= 2  # it tried again
    assert await _has_facts(other)


async def test_a_migration_that_gets_no_lock_names_who_holds_it_and_changes_nothing(
    older_database_url: str, holder: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    async with holder.transaction():
        await holder.fetch("SELECT count(*) FROM parse_requests")
        status, lines = await _finish(_upgrade(older_database_url, wait=1))
    pid = holder.get_server_pid()
    assert status == 1
    [line] = lines
    assert line.startswith("Not migrated: no lock within 1 s on parse_requests, ")
    assert f"process {pid} (long report)" in line
    assert f"pg_terminate_backend({pid})" in line
    assert len(line) < 300  # `make run` shows so much
    assert not await _has_facts(other)


async def test_a_migration_that_waits_for_another_holds_no_transaction_open(
    older_database_url: str, holder: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    query = (
        "SELECT count(*) AS seen, max(clock_timestamp() - xact_start) > '1 s' AS is_old"
        " FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> ALL($1)"
    )
    ours = [holder.get_server_pid(), other.get_server_pid()]
    await holder.execute(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
    migration = _upgrade(older_database_url, wait=60)

    async def is_connected() -> bool:
        return bool((await other.fetchrow(query, ours))["seen"])

    await until(is_connected, seconds=20)
    for _ in range(60):
        assert not (await other.fetchrow(query, ours))["is_old"]
        await asyncio.sleep(0.05)
    assert migration.poll() is None
    await holder.execute(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})")
    assert await _finish(migration) == (0, [])
    assert await _has_facts(other)


async def test_a_migration_that_another_keeps_waiting_says_so(
    older_database_url: str, holder: asyncpg.Connection
) -> None:
    await holder.execute(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
    assert await _finish(_upgrade(older_database_url, wait=1)) == (
        1,
        ["Another process is migrating this database. Wait for its end, then try again."],
    )


def test_a_wait_that_is_no_number_is_named(database_url: str) -> None:
    result = alembic(database_url, "-x", "wait=long", "upgrade", "head")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "-x wait is 'long'; it must be seconds, such as -x wait=600."
    ]


async def test_a_missing_right_of_a_migration_is_said_in_one_sentence(
    older_database_url: str, other: asyncpg.Connection
) -> None:
    await other.execute("CREATE ROLE migration_reader LOGIN")
    try:
        await other.execute("GRANT SELECT, UPDATE ON alembic_version TO migration_reader")
        url = older_database_url.replace("postgres@", "migration_reader:confidential@")
        result = alembic(url, "upgrade", "head")
        assert result.returncode == 1
        assert result.stderr.splitlines() == [
            (
                "Not migrated: PostgreSQL refuses a statement: must be owner of table "
                "parse_requests. Migrate as the owner of the tables."
            )
        ]
    finally:
        await other.execute("DROP OWNED BY migration_reader")
        await other.execute("DROP ROLE migration_reader")


async def test_a_server_that_stops_during_a_migration_is_said_in_one_sentence(
    older_database_url: str, holder: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    async with holder.transaction():
        await holder.fetch("SELECT count(*) FROM parse_requests")
        migration = _upgrade(older_database_url, wait=60)
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )

        async def was_ended() -> bool:
            return bool(await other.fetch(query))

        await until(was_ended, seconds=20)
        status, [line] = await _finish(migration)
    assert status == 1
    assert line.startswith("DATABASE_URL: cannot use the database: ")


async def test_a_relative_downgrade_that_gets_no_lock_half_way_goes_no_step_too_far(
    database_url: str, connection: asyncpg.Connection
) -> None:
    async with connection.transaction():
        await connection.fetch("SELECT count(*) FROM idempotency_keys")  # the third step drops it
        result = await asyncio.to_thread(alembic, database_url, "downgrade", "-5")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "Some steps are done, and then a lock was not free. The database is at migration 0003."
    ]
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "0003"
