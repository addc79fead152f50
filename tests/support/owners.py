"""Compare what is counted of owners with their rows."""

from uuid import UUID

import asyncpg

_COUNTED = """
    SELECT owner_id, sum(bytes)::bigint AS bytes FROM (
        SELECT owner_id, bytes FROM stored_bytes
        UNION ALL SELECT owner_id, bytes FROM stored_bytes_changes
    ) AS both_tables GROUP BY owner_id
"""
_IN_ROWS = """
    SELECT owner_id, sum(coalesce(octet_length(html_content), 0))::bigint AS bytes
    FROM parse_requests WHERE owner_id IS NOT NULL GROUP BY owner_id
"""


async def bytes_counted(connection: asyncpg.Connection) -> dict[UUID, int]:
    """Return the bytes of each owner, as they are counted."""
    return {row["owner_id"]: row["bytes"] for row in await connection.fetch(_COUNTED)}


async def bytes_in_rows(connection: asyncpg.Connection) -> dict[UUID, int]:
    """Return the bytes of each owner, as its rows have them."""
    return {row["owner_id"]: row["bytes"] for row in await connection.fetch(_IN_ROWS)}
