"""No statement reads a whole table, whatever day PostgreSQL's statistics are of."""

import asyncpg
import pytest
from sqlalchemy import text

from api_service.database import Database, Session
from tests.api.queueing.test_plans import CASES, OWNER
from tests.support.statistics import AGE_STATISTICS, OF_A_BUSY_DAY, TABLES

STANDING_ROWS = 20_000
ADD_ROWS = f"""
    INSERT INTO parse_requests (url, status, title)
        SELECT 'https://a.example/' || n, 'success', 'A' FROM generate_series(1, {STANDING_ROWS}) n;
    INSERT INTO parse_requests (url, status, token)
        SELECT 'https://a.example/' || n, 'processing', n || '-token' FROM generate_series(1, 50) n;
    INSERT INTO idempotency_keys (caller, key, fingerprint, request_id)
        SELECT 'somebody', 'key-' || n, 'print', n FROM generate_series(1, {STANDING_ROWS}) n;
    INSERT INTO parse_requests (url, status, owner_id, html_content)
        SELECT 'https://a.example/' || n, 'success', '{OWNER}', '<p>' FROM generate_series(1, 50) n;
    INSERT INTO parse_requests (url, status, owner_id)
        SELECT 'https://a.example/' || n, 'pending', '{OWNER}' FROM generate_series(1, 50) n;
    INSERT INTO stored_bytes_changes (owner_id, bytes)
        SELECT gen_random_uuid(), 1 FROM generate_series(1, {STANDING_ROWS}) n;
    INSERT INTO stored_bytes SELECT gen_random_uuid(), 1 FROM generate_series(1, {STANDING_ROWS}) n;
    INSERT INTO owners_to_delete (id, owner_id, done_at, next_look_at)
        SELECT 'del_' || n, gen_random_uuid(), now(), NULL
        FROM generate_series(1, {STANDING_ROWS}) n;
    INSERT INTO owners_to_delete (id, owner_id) VALUES ('del_0', '{OWNER}');
"""
ROWS_READ = text(
    "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables"
    " WHERE relname = ANY(:tables)"
)


@pytest.mark.parametrize("statistics", [AGE_STATISTICS, AGE_STATISTICS + OF_A_BUSY_DAY])
async def test_no_statement_reads_a_table_whole_by_old_statistics(
    connection: asyncpg.Connection, database: Database, statistics: str
) -> None:
    await connection.execute(ADD_ROWS)
    await connection.execute(statistics)
    wrong = []
    for name, case in CASES.items():
        async with database.transaction(seconds=60) as session:
            before = await _rows_read(session)
            await case.ask(session)
            read = await _rows_read(session) - before
            if read >= STANDING_ROWS:
                wrong.append(f"{name}: {read} rows")
            await session.rollback()
    assert not wrong, "\n".join(wrong)


async def _rows_read(session: Session) -> int:
    found = await session.execute(ROWS_READ, {"tables": list(TABLES)})
    return int(found.scalar_one())
