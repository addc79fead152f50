"""Faults of data in PostgreSQL: old statistics, a held snapshot, a full disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from tests.support.deployment import Deployment
from tests.support.small_disk import SmallDisk
from tests.support.statistics import AGE_STATISTICS, OF_A_BUSY_DAY

STANDING_ROWS = 100_000
STANDING_URLS = "http://standing.invalid/"
"""What the URLs of rows begin with that no client asked for."""

CANNOT_REACH = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

# Without triggers: the ledger would count these as requests that never were pending.
_ADD_STANDING_ROWS = f"""
    SET session_replication_role = replica;
    INSERT INTO parse_requests (url, status, title)
        SELECT '{STANDING_URLS}' || n, 'success', 'Standing'
        FROM generate_series(1, {STANDING_ROWS}) AS n;
    RESET session_replication_role;
"""

_RENEW_STATISTICS = """
    ALTER TABLE parse_requests RESET (autovacuum_enabled);
    ALTER TABLE idempotency_keys RESET (autovacuum_enabled);
    ANALYZE parse_requests, idempotency_keys;
"""
_ROWS_READ_IN_WHOLE_READS = (
    "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'parse_requests'"
)

_REFUSE_WRITES = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device'
        USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON parse_requests
        FOR EACH ROW EXECUTE FUNCTION refuse();
"""
_ACCEPT_WRITES = "DROP FUNCTION IF EXISTS refuse CASCADE"


class OldStatistics:
    """Statistics as of another day, while 100,000 ended rows stand."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._rows_stand = False
        self._read_before: int | None = None

    async def begin(self, *, of_a_busy_day: bool) -> None:
        """Let the rows stand, and the statistics know nothing of them.

        Args:
            of_a_busy_day: they tell of unfinished rows only, else of none at all.
        """
        async with self._deployment.database() as connection:
            if not self._rows_stand:
                await connection.execute(_ADD_STANDING_ROWS)
                self._rows_stand = True
            await connection.execute(AGE_STATISTICS)
            if of_a_busy_day:
                await connection.execute(OF_A_BUSY_DAY)
        if self._read_before is None:
            self._read_before = await self._rows_read()

    async def whole_reads(self) -> int:
        """Return how often the whole table was read since; a crash forgets what was before it."""
        if self._read_before is None:
            return 0
        found = await self._rows_read()
        return (found - self._read_before if found >= self._read_before else found) // STANDING_ROWS

    async def end(self) -> None:
        """Let the statistics be as they are."""
        if self._read_before is None:
            return
        self._read_before = None
        async with self._deployment.database() as connection:
            await connection.execute(_RENEW_STATISTICS)

    async def _rows_read(self) -> int:
        async with self._deployment.database() as connection:
            found: int = await connection.fetchval(_ROWS_READ_IN_WHOLE_READS)
        return found


class HeldSnapshot:
    """A transaction that stays open, as that of a backup by pg_dump; if it breaks, another."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._holding: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        if self._holding is None:
            self._holding = asyncio.create_task(self._hold_on())

    async def end(self) -> None:
        if self._holding is None:
            return
        self._holding.cancel()
        with suppress(asyncio.CancelledError):
            await self._holding
        self._holding = None

    async def _hold_on(self) -> None:
        while True:
            with suppress(*CANNOT_REACH):
                await self._hold()
            await asyncio.sleep(0.5)

    async def _hold(self) -> None:
        async with (
            self._deployment.database() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute("LOCK TABLE parse_requests IN ACCESS SHARE MODE")
            while True:
                await connection.execute("SELECT pg_current_snapshot()")
                await asyncio.sleep(0.5)


@asynccontextmanager
async def full_disk(
    deployment: Deployment, disk: SmallDisk | None, *, wal_first: bool
) -> AsyncIterator[None]:
    """Leave PostgreSQL no room during the block.

    Args:
        disk: what its data is on; None has a trigger refuse writes with the same error.
        wal_first: the log needs a new file at once, for want of which PostgreSQL ends.
    """
    if disk is None:
        async with deployment.database() as connection:
            await connection.execute(_REFUSE_WRITES)
        yield
        async with deployment.database() as connection:
            await connection.execute(_ACCEPT_WRITES)
        return
    disk.fill()
    try:
        if wal_first:
            with suppress(*CANNOT_REACH):
                async with deployment.database() as connection:
                    await connection.execute("SELECT pg_switch_wal()", timeout=5)
        yield
    finally:
        disk.make_room()
