"""The SQL that ends attempts and requests. Each statement takes any number of requests.

The legal moves of `status_enum.py` are part of each condition, so late and doubled results
change nothing.
"""

# ruff: noqa: S608 - the texts are put together from ours, values are parameters

from sqlalchemy import text

from api_service.repository import (
    JOB_COLUMNS,
    NEW_TOKEN_SQL,
    UNFINISHED_CONDITION,
    legal_move_condition,
)
from api_service.schema import age_in_seconds, is_older_than
from api_service.status_enum import StatusEnum

# PostgreSQL knows the length of a page without reading it.
_OUTCOME_COLUMNS = (
    f"r.id, r.owner_id, r.status, {age_in_seconds('r.created_at')} AS age,"
    " coalesce(octet_length(r.html_content), 0) AS stored_bytes"
)

_ATTEMPTS_AND_ONE = "least(r.attempts + 1, 32767)"  # the last number that the column holds

FIND_REQUEST_KINDS_BESIDES_PAGE = text("""
    SELECT r.id, r.options ->> 'kind' AS kind
    FROM parse_requests r
    WHERE r.id = ANY(CAST(:ids AS bigint[])) AND r.options ->> 'kind' IS NOT NULL
""")

MARK_SUCCESS = text(f"""
    UPDATE parse_requests r
    SET status = 'success', token = NULL, next_attempt_at = NULL, suspect_since = NULL,
        attempts = {_ATTEMPTS_AND_ONE}, updated_at = now(),
        title = v.title, html_content = v.html, facts = v.facts::jsonb
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:tokens AS text[]), CAST(:titles AS text[]),
        CAST(:htmls AS text[]), CAST(:facts AS text[])
    ) AS v(id, token, title, html, facts)
    WHERE r.id = v.id AND {legal_move_condition(StatusEnum.SUCCESS)}
        AND (v.token IS NULL OR r.token = v.token)
    RETURNING {_OUTCOME_COLUMNS}
""")

_IS_TRIED_AGAIN = "v.pause IS NOT NULL AND r.attempts + 1 < :max_attempts"
_PAUSE_BEFORE_RETRY = (
    "least(:max_delay, :base_delay * 2 ^ greatest(r.attempts, 0)) * (0.5 + random() / 2)"
)

MARK_ATTEMPTS_FAILED = text(f"""
    UPDATE parse_requests r
    SET attempts = {_ATTEMPTS_AND_ONE}, token = NULL, suspect_since = NULL, updated_at = now(),
        status = CASE WHEN {_IS_TRIED_AGAIN} THEN r.status ELSE 'failure' END,
        next_attempt_at = CASE WHEN {_IS_TRIED_AGAIN}
            THEN now() + make_interval(secs => greatest(v.pause, {_PAUSE_BEFORE_RETRY})) END,
        error = CASE WHEN {_IS_TRIED_AGAIN} THEN NULL ELSE v.error::jsonb END
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:tokens AS text[]), CAST(:errors AS text[]),
        CAST(:pauses AS double precision[])
    ) AS v(id, token, error, pause)
    WHERE r.id = v.id AND {legal_move_condition(StatusEnum.FAILURE)}
        AND (v.token IS NULL OR r.token = v.token)
    RETURNING {_OUTCOME_COLUMNS}
""")

_ATTEMPTS_ARE_EXHAUSTED = "r.attempts + 1 >= :max_attempts"

RECORD_DEAD_ATTEMPTS = text(f"""
    UPDATE parse_requests r
    SET attempts = {_ATTEMPTS_AND_ONE}, alone = r.attempts + 2 >= :max_attempts,
        suspect_since = NULL, updated_at = now(),
        status = CASE WHEN {_ATTEMPTS_ARE_EXHAUSTED} THEN 'failure' ELSE r.status END,
        token = CASE WHEN {_ATTEMPTS_ARE_EXHAUSTED} THEN NULL ELSE {NEW_TOKEN_SQL} END,
        error = CASE WHEN {_ATTEMPTS_ARE_EXHAUSTED} THEN jsonb_build_object(
            'code', 'attempts_exhausted',
            'message', 'Given up after ' || (r.attempts + 1) ||
                ' attempts; at the last, the parser that had the page died.',
            'retryable', false
        ) END
    WHERE r.id = ANY(CAST(:ids AS bigint[])) AND r.token = ANY(CAST(:tokens AS text[]))
        AND {legal_move_condition(StatusEnum.FAILURE)}
    RETURNING {JOB_COLUMNS}, {_OUTCOME_COLUMNS}
""")

LOCK_UNFINISHED_OLDER_THAN = text(f"""
    SELECT id FROM parse_requests
    WHERE {UNFINISHED_CONDITION} AND {is_older_than("created_at", "CAST(:age AS interval)")}
    ORDER BY id LIMIT :limit
    FOR UPDATE SKIP LOCKED
""")

MARK_PROCESSING_BEFORE_EXPIRY = text(f"""
    UPDATE parse_requests r
    SET status = 'processing', token = NULL, updated_at = now()
    WHERE r.id = ANY(CAST(:ids AS bigint[])) AND {legal_move_condition(StatusEnum.PROCESSING)}
""")

MARK_EXPIRED = text(f"""
    UPDATE parse_requests r
    SET status = 'failure', token = NULL, next_attempt_at = NULL, suspect_since = NULL,
        updated_at = now(), error = CAST(:error AS jsonb)
    WHERE r.id = ANY(CAST(:ids AS bigint[])) AND {legal_move_condition(StatusEnum.FAILURE)}
    RETURNING {_OUTCOME_COLUMNS}
""")
