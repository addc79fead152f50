"""Fill a database with ended and unfinished requests, and let many end."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

CHUNK = 500_000
DUE = STRANDED = LOST = 10
"""Requests that a sweep finds: as many at every size, so that it has the same to do."""
OWNER, OTHER = UUID(int=1), UUID(int=2)
"""Two owners of a tenth of the ended requests each; the second has half of the unfinished ones."""
OWNED = 100
"""Unfinished requests of the first owner: as many at every size."""
CHANGES = 500
"""Differences of stored bytes that wait to be folded."""
RETRIES = 1000
"""Most requests that wait for an attempt which is not due."""

_ENDED = """
    INSERT INTO parse_requests
        (url, owner_id, status, title, html_content, facts, attempts, created_at, updated_at)
    SELECT 'https://example.com/page/' || n,
        (CASE n % 10 WHEN 1 THEN '{OWNER}' WHEN 2 THEN '{OTHER}' END)::uuid,
        (CASE WHEN n % 20 > 0 THEN 'success' ELSE 'failure' END)::parse_request_status,
        'A title of the page', '<p>A short page.</p>', '{{"http_status": 200}}', 1, t, t
    FROM generate_series({first}::bigint, {last}::bigint) AS n,
        LATERAL (SELECT now() - interval '29 days' * (1 - n / {all}.0)) AS at(t)
"""

_UNFINISHED = """
    INSERT INTO parse_requests
        (url, owner_id, status, token, attempts, created_at, updated_at, next_attempt_at,
        suspect_since)
    SELECT 'https://example.com/page/' || n,
        CASE WHEN n <= {DUE} + {retries} + {LOST} THEN NULL
            WHEN n <= {DUE} + {retries} + {LOST} + {OWNED} THEN '{OWNER}'::uuid
            WHEN n % 2 = 1 THEN '{OTHER}'::uuid END,
        kind.status::parse_request_status,
        CASE WHEN kind.status = 'processing' THEN n || '-0123456789abcdef' END,
        0, now() - interval '1 minute', now() - interval '1 minute', kind.next, kind.suspect
    FROM generate_series(1, {count}) AS n, LATERAL (SELECT
        'processing',
        CASE WHEN n <= {DUE} THEN now() - interval '1 second'
            WHEN n <= {DUE} + {retries} THEN now() + interval '1 hour' END,
        CASE WHEN n > {DUE} + {retries} AND n <= {DUE} + {retries} + {LOST}
            THEN now() - interval '1 hour' END
    ) AS kind(status, next, suspect)
"""

_STRANDED = """
    INSERT INTO parse_requests (url, created_at, updated_at)
    SELECT 'https://example.com/page/' || n, now() - interval '1 minute',
        now() - interval '1 minute' FROM generate_series(1, {STRANDED}) AS n
"""
_START_STRANDED = """
    UPDATE parse_requests SET status = 'processing', token = id || '-0123456789abcdef'
    WHERE status = 'pending'
"""

# One turn of a flow: requests arrive, some fail at first, and the oldest that were pushed end.
_FLOW = (
    """INSERT INTO parse_requests (url, owner_id)
        SELECT 'https://example.com/page/' || n,
            (CASE n % 4 WHEN 0 THEN '{OWNER}' WHEN 1 THEN '{OTHER}' END)::uuid
        FROM generate_series(1, {count}) AS n""",
    """UPDATE parse_requests SET status = 'processing', token = id || '-0123456789abcdef'
        WHERE id > {newest}""",
    """UPDATE parse_requests SET next_attempt_at = now() - interval '3 minutes'
        WHERE id > {newest} AND id % 10 = 0""",
    """UPDATE parse_requests SET next_attempt_at = NULL WHERE id > {newest} AND id % 10 = 0""",
    """UPDATE parse_requests SET status = 'success', token = NULL, updated_at = now(),
            title = 'A title', html_content = '<p>A short page.</p>', attempts = 1
        WHERE id = ANY(ARRAY(
            SELECT id FROM parse_requests
            WHERE status IN ('pending', 'processing') AND id > {oldest}
            ORDER BY id LIMIT {count}))""",
)

_END_OWNED = """
    UPDATE parse_requests SET status = 'success', token = NULL, updated_at = now()
    WHERE owner_id = $1 AND status IN ('pending', 'processing') AND id <= (
        SELECT id FROM parse_requests
        WHERE owner_id = $1 AND status IN ('pending', 'processing')
        ORDER BY id DESC OFFSET $2 LIMIT 1
    )
"""
_CHANGES = """
    INSERT INTO stored_bytes_changes (owner_id, bytes)
    SELECT gen_random_uuid(), 1000 FROM generate_series(1, {count})
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows there are, and how many end while a snapshot is held."""

    ended: int
    unfinished: int
    ends: int


async def stop_statistics(connection: asyncpg.Connection) -> None:
    """Keep autovacuum away, so that the statistics stay as they are."""
    for table in ("parse_requests", "stored_bytes_changes", "stored_bytes", "idempotency_keys"):
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    await connection.execute("ALTER TABLE parse_requests SET (toast.autovacuum_enabled = off)")


async def add_ended(
    connection: asyncpg.Connection, count: int, *, progress: Callable[[str], None] | None = None
) -> None:
    """Add requests that ended within the last 29 days."""
    for first in range(1, count + 1, CHUNK):
        last = min(count, first + CHUNK - 1)
        await connection.execute(
            _ENDED.format(first=first, last=last, all=count, OWNER=OWNER, OTHER=OTHER)
        )
        if progress:
            progress(f"{last:,} ended requests")


async def add_unfinished(connection: asyncpg.Connection, count: int) -> None:
    """Add requests that have not ended; the newest are pending."""
    retries = min(RETRIES, count // 4)
    names = {"DUE": DUE, "LOST": LOST, "OWNED": OWNED, "OWNER": OWNER, "OTHER": OTHER}
    await connection.execute(_UNFINISHED.format(count=count - STRANDED, retries=retries, **names))
    await connection.execute(_STRANDED.format(STRANDED=STRANDED))
    await _renew_changes(connection, CHANGES)


async def _renew_changes(connection: asyncpg.Connection, folded: int) -> None:
    """Have differences of stored bytes come and be folded, and some more come."""
    await connection.execute(_CHANGES.format(count=folded))
    await connection.execute("DELETE FROM stored_bytes_changes")
    await connection.execute(_CHANGES.format(count=CHANGES))


async def let_end(connection: asyncpg.Connection, count: int, *, turns: int = 20) -> None:
    """Have requests arrive and as many end, in turns; the oldest unfinished ones stay."""
    oldest = await connection.fetchval(
        "SELECT max(id) FROM parse_requests"
        " WHERE next_attempt_at IS NOT NULL OR suspect_since IS NOT NULL"
    )
    for _ in range(turns):
        newest = await connection.fetchval("SELECT max(id) FROM parse_requests")
        for statement in _FLOW:
            names = {"count": count // turns, "newest": newest, "oldest": oldest}
            await connection.execute(statement.format(**names, OWNER=OWNER, OTHER=OTHER))
    await connection.execute(_END_OWNED, OWNER, OWNED)
    await _renew_changes(connection, count // 50)
    await connection.execute(_START_STRANDED)  # nothing is pending for long
    await connection.execute(_STRANDED.format(STRANDED=STRANDED))
