"""The SQL that claims requests for the parsers, and finds those that Redis has lost.

The legal moves of `status_enum.py` are part of each condition, so late and doubled messages
change nothing.

What is claimed is passed on as an array: a join would be planned by statistics, which are of
yesterday on a day that differs, and could read the whole table.
"""

# ruff: noqa: S608 - the texts are put together from ours, values are parameters

from sqlalchemy import text

from api_service.repository import (
    JOB_COLUMNS,
    NEW_TOKEN_SQL,
    UNFINISHED_CONDITION,
    legal_move_condition,
)
from api_service.schema import FIRST_TIME_SQL, age_in_seconds, is_older_than
from api_service.status_enum import StatusEnum

MAX_COMMIT_DELAY_SECONDS = 60
"""Most seconds that the time of a next attempt may be past when it is committed."""

_IS_AHEAD = f"> now() + interval '{MAX_COMMIT_DELAY_SECONDS} seconds'"
"""Of a time: PostgreSQL's clock was set back, or somebody else wrote it. Then it counts as past."""
_IS_NO_PAUSE = "> now() + interval '2 days'"
"""Of a next attempt: no pause is so long; `MAX_RETRY_DELAY` is a day at most."""

MARK_PROCESSING = text(f"""
    UPDATE parse_requests r
    SET status = 'processing', token = {NEW_TOKEN_SQL}, updated_at = now()
    WHERE r.id = ANY(CAST(:ids AS bigint[])) AND {legal_move_condition(StatusEnum.PROCESSING)}
    RETURNING {JOB_COLUMNS}
""")

CLAIM_STALE_PENDING = text(f"""
    UPDATE parse_requests r
    SET status = 'processing', token = {NEW_TOKEN_SQL}, updated_at = now()
    WHERE r.id = ANY(ARRAY(
        SELECT id FROM parse_requests
        WHERE {UNFINISHED_CONDITION} AND status = 'pending' AND id >= :first
            AND ({is_older_than("created_at", "make_interval(secs => :age)")}
                OR created_at {_IS_AHEAD})
        ORDER BY id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )) AND {legal_move_condition(StatusEnum.PROCESSING)}
    RETURNING {JOB_COLUMNS}
""")

# If none is pending, the next one follows the newest row.
FIND_PENDING_SEARCH_START = text(f"""
    SELECT coalesce(
        (SELECT id FROM parse_requests
            WHERE {UNFINISHED_CONDITION} AND status = 'pending' AND id >= :first
            ORDER BY id LIMIT 1),
        (SELECT max(id) FROM parse_requests),
        0
    )
""")

CLAIM_DUE_RETRIES = text(f"""
    UPDATE parse_requests r
    SET token = {NEW_TOKEN_SQL}, next_attempt_at = NULL, updated_at = now()
    WHERE r.id = ANY(ARRAY(
        SELECT id FROM parse_requests
        WHERE next_attempt_at <= now() AND status = 'processing'
            AND next_attempt_at >= coalesce(CAST(:first AS timestamptz), '-infinity')
        ORDER BY next_attempt_at LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ) || ARRAY(
        SELECT id FROM parse_requests
        WHERE next_attempt_at {_IS_NO_PAUSE} AND status = 'processing'
        ORDER BY next_attempt_at DESC LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING {JOB_COLUMNS}
""")

# Attempts that are added from now on may be due before those that wait.
FIND_DUE_SEARCH_START = text(f"""
    SELECT greatest({FIRST_TIME_SQL}, least(now(), (
        SELECT next_attempt_at FROM parse_requests
        WHERE next_attempt_at >= coalesce(CAST(:first AS timestamptz), '-infinity')
        ORDER BY next_attempt_at LIMIT 1
    ))) - interval '{MAX_COMMIT_DELAY_SECONDS} seconds'
""")

# Through the partial index: ended requests cost nothing. One row even if none is unfinished, for
# the newest id of the same moment.
SUMMARISE_UNFINISHED = text(f"""
    SELECT newest, state, count(state) AS requests, count(suspect_since) AS suspects,
        min(id) AS first,
        {age_in_seconds("min(created_at)")} AS oldest_age
    FROM (SELECT coalesce(max(id), 0) AS newest FROM parse_requests) AS all_requests
    LEFT JOIN (
        SELECT id, created_at, suspect_since, CASE
            WHEN status = 'pending' THEN 'pending'
            WHEN next_attempt_at IS NULL THEN 'processing'
            ELSE 'retrying' END AS state
        FROM parse_requests WHERE {UNFINISHED_CONDITION} AND id >= :first
        ORDER BY id LIMIT :limit
    ) AS unfinished ON true
    GROUP BY newest, state
""")

NEWEST = text("SELECT coalesce(max(id), 0) FROM parse_requests")

# PostgreSQL's cached generic plan is quadratic on long arrays: plan for the actual sizes.
FORCE_CUSTOM_PLAN = text("SET LOCAL plan_cache_mode = 'force_custom_plan'")

# For a statement that reads all unfinished rows: by statistics of a day on which no request had
# ended, the whole table would be as good to read as the index of these rows.
AVOID_WHOLE_TABLE = text("SET LOCAL enable_seqscan = off")

# Pushed, not waiting for the next attempt, and not touched since the look began.
FIND_MISSING_FROM_REDIS = text(f"""
    SELECT id, token FROM parse_requests
    WHERE {UNFINISHED_CONDITION} AND status = 'processing'
        AND next_attempt_at IS NULL AND (updated_at < :before OR updated_at {_IS_AHEAD})
        AND id >= :first AND id <> ALL(CAST(:seen AS bigint[]))
""")

# If none is unfinished, the next one follows the newest row.
FIND_FIRST_UNFINISHED_OR_NEWEST = text(f"""
    SELECT coalesce(
        (SELECT id FROM parse_requests
            WHERE {UNFINISHED_CONDITION} AND id >= :first ORDER BY id LIMIT 1),
        (SELECT max(id) FROM parse_requests),
        0
    )
""")

CLEAR_SUSPECTS_EXCEPT = text("""
    UPDATE parse_requests SET suspect_since = NULL
    WHERE suspect_since IS NOT NULL AND id <> ALL(CAST(:missing AS bigint[]))
""")

ADD_SUSPECTS = text(f"""
    UPDATE parse_requests SET suspect_since = now()
    WHERE id = ANY(CAST(:missing AS bigint[]))
        AND (suspect_since IS NULL OR suspect_since {_IS_AHEAD})
        AND status = 'processing'
""")

# In the order of the index on `suspect_since`: ordered by `id` alone, it could be served by the
# index of all unfinished rows, read to its end.
CLAIM_LOST = text(f"""
    UPDATE parse_requests r
    SET token = {NEW_TOKEN_SQL}, suspect_since = NULL, updated_at = now()
    WHERE r.id = ANY(ARRAY(
        SELECT id FROM parse_requests
        WHERE suspect_since <= now() - make_interval(secs => :age) AND status = 'processing'
        ORDER BY suspect_since, id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING {JOB_COLUMNS}
""")

FIND_NEXT_IDS_TO_POLL = text(f"""
    SELECT id FROM parse_requests
    WHERE {UNFINISHED_CONDITION} AND status = 'processing'
        AND next_attempt_at IS NULL AND id > :after
    ORDER BY id LIMIT :limit
""")
