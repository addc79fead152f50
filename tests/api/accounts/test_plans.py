"""What the statements of accounts read does not grow with the accounts, whatever the statistics."""

import json
from typing import Any

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from api_service.accounts import statements

pytestmark = pytest.mark.slow

ROWS = 200_000
FILL = f"""
    ALTER TABLE users SET (autovacuum_enabled = off);
    ALTER TABLE sessions SET (autovacuum_enabled = off);
    ALTER TABLE api_keys SET (autovacuum_enabled = off);
    ANALYZE users, sessions, api_keys;
    INSERT INTO users (id, email, created_at)
    SELECT lpad(n::text, 32, '0')::uuid, n::text, now() - n * interval '1 s'
    FROM generate_series(1, {ROWS}) AS n;
    INSERT INTO sessions (user_id, token_digest, expires_at)
    SELECT lpad(n::text, 32, '0')::uuid, sha256(n::text::bytea), now() + interval '1 day'
    FROM generate_series(1, {ROWS}) AS n;
    INSERT INTO api_keys (user_id, name, prefix, token_digest, scopes)
    SELECT lpad(n::text, 32, '0')::uuid, 'k', 'p', sha256((n + {ROWS})::text::bytea), '{{read}}'
    FROM generate_series(1, {ROWS}) AS n;
"""
TOKENS = 100


async def _blocks(connection: asyncpg.Connection, statement: Any, *values: Any) -> int:
    sql = str(statement.compile(dialect=dialect()))
    plan = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *values)
    root = json.loads(plan)[0]["Plan"]
    blocks: int = root["Shared Hit Blocks"] + root["Shared Read Blocks"]
    return blocks


async def _check_look_ups(filled: asyncpg.Connection) -> None:
    digests = await filled.fetchval(
        f"SELECT array_agg(sha256((n * 1999)::text::bytea)) FROM generate_series(1, {TOKENS}) AS n"
    )
    assert await _blocks(filled, statements.FIND_CALLERS, digests) <= 20 * TOKENS
    assert await _blocks(filled, statements.FIND_CALLERS, digests[:1]) <= 30


async def _check_pages_of_users(filled: asyncpg.Connection) -> None:
    row = await filled.fetchrow("SELECT created_at, id FROM users WHERE email = '199000'")
    first = await _blocks(filled, statements.LIST_USERS, 51)
    later = await _blocks(filled, statements.LIST_USERS_AFTER, row["created_at"], row["id"], 51)
    assert max(first, later) <= 120


async def _check_administrators(filled: asyncpg.Connection) -> None:
    assert await _blocks(filled, statements.LOCK_ACTIVE_ADMINS) <= 10


async def _check_logins(filled: asyncpg.Connection) -> None:
    user = await filled.fetchval("SELECT id FROM users WHERE email = '5000'")
    assert await _blocks(filled, statements.DELETE_SURPLUS_SESSIONS, user, 100) <= 30
    assert await _blocks(filled, statements.FIND_USER_BY_EMAIL, "5000") <= 10


@pytest.mark.parametrize("statistics", ["old", "fresh"])
async def test_what_is_read_does_not_grow_with_the_accounts(
    connection: asyncpg.Connection, statistics: str
) -> None:
    await connection.execute(FILL)  # one fill for all: it takes the most time
    if statistics == "fresh":
        await connection.execute("VACUUM ANALYZE users, sessions, api_keys")
    await _check_look_ups(connection)
    await _check_pages_of_users(connection)
    await _check_administrators(connection)
    await _check_logins(connection)
