"""The SQL that claims requests for the parsers, and finds those that Redis has lost.

The legal moves of `status_enum.py` are part of each condition, so late and doubled messages
change nothing.
"""

# ruff: noqa: S608 - the texts are put together from ours, values are parameters

from sqlalchemy import text

from api_service.repository import JOB_COLUMNS, NEW_TOKEN_SQL, UNFINISHED, may_move_to
from api_service.status_enum import StatusEnum

MARK_PROCESSING = text(f"""
    UPDATE parse_requests r
    SET status = 'processing', token = {NEW_TOKEN_SQL}, updated_at = now()
    WHERE r.id = ANY(CAST(:ids AS bigint[])) AND {may_move_to(StatusEnum.PROCESSING)}
    RETURNING {JOB_COLUMNS}
""")

CLAIM_STALE_PENDING = text(f"""
    UPDATE parse_requests r
    SET status = 'processing', token = {NEW_TOKEN_SQL}, updated_at = now()
    WHERE r.id IN (
        SELECT id FROM parse_requests
        WHERE {UNFINISHED} AND status = 'pending'
            AND created_at < now() - make_interval(secs => :age)
        ORDER BY id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ) AND {may_move_to(StatusEnum.PROCESSING)}
    RETURNING {JOB_COLUMNS}
""")

CLAIM_DUE_RETRIES = text(f"""
    UPDATE parse_requests r
    SET token = {NEW_TOKEN_SQL}, next_attempt_at = NULL, updated_at = now()
    WHERE r.id IN (
        SELECT id FROM parse_requests
        WHERE next_attempt_at <= now() AND status = 'processing'
        ORDER BY next_attempt_at LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    RETURNING {JOB_COLUMNS}
""")

# PostgreSQL's cached generic plan is quadratic on long arrays: plan for the actual sizes.
FORCE_CUSTOM_PLAN = text("SET LOCAL plan_cache_mode = 'force_custom_plan'")

# Pushed, not waiting for the next attempt, and not touched since the look began.
FIND_MISSING = text(f"""
    SELECT id, token FROM parse_requests
    WHERE {UNFINISHED} AND status = 'processing'
        AND next_attempt_at IS NULL AND updated_at < :before
        AND id <> ALL(CAST(:seen AS bigint[]))
""")

CLEAR_SUSPECTS_EXCEPT = text("""
    UPDATE parse_requests SET suspect_since = NULL
    WHERE suspect_since IS NOT NULL AND id <> ALL(CAST(:missing AS bigint[]))
""")

ADD_SUSPECTS = text("""
    UPDATE parse_requests SET suspect_since = now()
    WHERE id = ANY(CAST(:missing AS bigint[])) AND suspect_since IS NULL
        AND status = 'processing'
""")

CLAIM_LOST = text(f"""
    UPDATE parse_requests r
    SET token = {NEW_TOKEN_SQL}, suspect_since = NULL, updated_at = now()
    WHERE r.id IN (
        SELECT id FROM parse_requests
        WHERE suspect_since <= now() - make_interval(secs => :age) AND status = 'processing'
        ORDER BY id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    RETURNING {JOB_COLUMNS}
""")

NEXT_IDS_TO_POLL = text(f"""
    SELECT id FROM parse_requests
    WHERE {UNFINISHED} AND status = 'processing'
        AND next_attempt_at IS NULL AND id > :after
    ORDER BY id LIMIT :limit
""")
