"""What is sent each second costs the same with many rows, old statistics and a held snapshot."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from api_service.database import Database
from benchmarks.hot_and_cold import rows
from benchmarks.hot_and_cold.statements import (
    BATCH,
    RARE,
    count_blocks,
    find_targets,
    statements,
)
from tests.support.servers import dsn

pytestmark = pytest.mark.slow

SMALL, ENDED, UNFINISHED, ENDS = 1000, 200_000, 50_000, 40_000

MORE = 60
"""Blocks more that a statement may read: indexes that are one level deeper, and new pages."""
MORE_A_ROW = 24
"""The same for each row of a batch."""


@pytest.fixture
async def holder(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect like a backup, which sees the rows as they are at its first statement."""
    opened = await asyncpg.connect(dsn(database_url))
    transaction = opened.transaction(isolation="repeatable_read")
    await transaction.start()
    yield opened
    await transaction.rollback()
    await opened.close()


async def _blocks(connection: asyncpg.Connection, database: Database) -> dict[str, int]:
    asked = statements(await find_targets(connection, database))
    return {
        name: await count_blocks(database, connection, ask)
        for name, ask in asked.items()
        if name not in RARE
    }


async def test_statements_of_each_second_cost_the_same_with_many_rows_and_a_held_snapshot(
    connection: asyncpg.Connection, database: Database, holder: asyncpg.Connection
) -> None:
    await rows.stop_statistics(connection)
    await rows.add_ended(connection, SMALL // 2)
    await rows.add_unfinished(connection, SMALL // 2)
    await connection.execute("VACUUM ANALYZE parse_requests")
    small = await _blocks(connection, database)
    await connection.execute("DELETE FROM parse_requests WHERE status IN ('pending', 'processing')")
    await rows.add_ended(connection, ENDED)
    await rows.add_unfinished(connection, UNFINISHED)
    await holder.fetchval("SELECT count(*) FROM alembic_version")
    await rows.let_end(connection, ENDS)
    large = await _blocks(connection, database)
    print({name: (small[name], large[name]) for name in small})
    too_many = {
        name: (small[name], blocks)
        for name, blocks in large.items()
        if blocks > small[name] * 1.2 + (MORE_A_ROW * BATCH if _is_batch(name) else MORE)
    }
    assert not too_many


def _is_batch(name: str) -> bool:
    return name.startswith(
        ("worker", "results", "API: 50", "API: add", "API: count", "sweep: dead", "deletion")
    )
