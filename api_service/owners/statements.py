"""The SQL on what an owner has.

The rows of an owner are found by `(owner_id, id)`, compared as a pair and in this order: only the
indexes that begin with the owner can serve that. By `owner_id = …` alone, the planner may take an
index on `id` when its statistics are old, and read the rows of all others.
"""

# ruff: noqa: S608 - the texts are put together from ours, values are parameters

from sqlalchemy import text

from api_service.repository import UNFINISHED_CONDITION

_LAST_ID = 2**63 - 1
ENDED_CONDITION = "status IN ('success', 'failure')"
"""The partial index's condition, word for word, as `UNFINISHED_CONDITION` is."""


def _of_owner(owner: str, first: str) -> str:
    """Write the condition for the rows of one owner with ids from `first` on."""
    return (
        f"owner_id IS NOT NULL AND (owner_id, id) >= (CAST({owner} AS uuid), {first})"
        f" AND (owner_id, id) <= (CAST({owner} AS uuid), {_LAST_ID})"
    )


# One row for each owner. If none is unfinished, the next one follows the newest row.
COUNT_UNFINISHED = text(f"""
    SELECT v.owner_id, counted.requests,
        coalesce(counted.first, (SELECT max(id) FROM parse_requests), 0) AS first
    FROM unnest(
        CAST(:owner_ids AS uuid[]), CAST(:firsts AS bigint[]), CAST(:limits AS bigint[])
    ) AS v(owner_id, first, most)
    CROSS JOIN LATERAL (
        SELECT count(*) AS requests, min(found.id) AS first FROM (
            SELECT id FROM parse_requests
            WHERE {UNFINISHED_CONDITION} AND {_of_owner("v.owner_id", "v.first")}
            ORDER BY owner_id, id LIMIT v.most
        ) AS found
    ) AS counted
""")

LOCK_UNFINISHED = text(f"""
    SELECT id FROM parse_requests
    WHERE {UNFINISHED_CONDITION} AND {_of_owner(":owner_id", ":first")}
    ORDER BY owner_id, id LIMIT :limit
    FOR UPDATE SKIP LOCKED
""")

DELETE_ENDED = text(f"""
    DELETE FROM parse_requests
    WHERE id = ANY(ARRAY(
        SELECT id FROM parse_requests
        WHERE {ENDED_CONDITION} AND {_of_owner(":owner_id", ":first")}
        ORDER BY owner_id, id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id, coalesce(octet_length(html_content), 0) AS stored_bytes
""")

# Not by EXISTS, which would drop the order and with it the choice of the index.
HAS_REQUESTS = text(f"""
    SELECT coalesce(
        (SELECT id FROM parse_requests
            WHERE {UNFINISHED_CONDITION} AND {_of_owner(":owner_id", "0")}
            ORDER BY owner_id, id LIMIT 1),
        (SELECT id FROM parse_requests
            WHERE {ENDED_CONDITION} AND {_of_owner(":owner_id", "0")}
            ORDER BY owner_id, id LIMIT 1)
    ) IS NOT NULL
""")

# An owner whose deletion was asked for before keeps its id.
ADD_OWNER_TO_DELETE = text("""
    INSERT INTO owners_to_delete AS d (id, owner_id) VALUES (:id, :owner_id)
    ON CONFLICT (owner_id) DO UPDATE SET next_look_at = coalesce(d.next_look_at, now())
    RETURNING id, requested_at, done_at
""")

FIND_DELETION = text("SELECT id, requested_at, done_at FROM owners_to_delete WHERE id = :id")

FIND_OWNER_TO_DELETE = text("""
    SELECT owner_id FROM owners_to_delete
    WHERE next_look_at <= now() ORDER BY next_look_at LIMIT 1
""")

_IS_SETTLED = "requested_at <= now() - make_interval(secs => :settle_seconds)"

# A request of the owner may be committed late: see `deletion.py`. Without a join: one of the table
# with itself is planned by statistics, and with old ones it could read all pairs of rows.
NOTE_NOTHING_LEFT = text(f"""
    UPDATE owners_to_delete SET
        done_at = CASE WHEN {_IS_SETTLED} THEN coalesce(done_at, now()) END,
        next_look_at = CASE
            WHEN NOT {_IS_SETTLED} THEN requested_at + make_interval(secs => :settle_seconds)
            WHEN coalesce(done_at, now()) > now() - make_interval(secs => :watch_seconds)
            THEN now() + make_interval(secs => :watch_seconds / 6.0) END
    WHERE owner_id = :owner_id
    RETURNING next_look_at IS NULL AS is_last_look
""")

DEFER_LOOK = text("""
    UPDATE owners_to_delete SET next_look_at = now() WHERE owner_id = :owner_id
""")

FORGET_OLD_DELETIONS = text("""
    DELETE FROM owners_to_delete WHERE id = ANY(ARRAY(
        SELECT id FROM owners_to_delete
        WHERE next_look_at IS NULL AND done_at < now() - make_interval(days => :days)
        ORDER BY done_at LIMIT :limit
    ))
""")
