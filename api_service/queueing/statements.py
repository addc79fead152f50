"""The SQL that changes and finds many parse requests at once, for the repository.

The legal moves of `status_enum.py` are part of each UPDATE's condition, so that late and
doubled messages change nothing. The condition `status IN ('pending', 'processing')` is the
partial index's, word for word, so that the planner uses it.
"""

# ruff: noqa: S608 - what is put into the texts is ours, and values are parameters

from sqlalchemy import text

from api_service.status_enum import StatusEnum, before


def _moving_to(status: StatusEnum) -> str:
    """The condition that a row may move to a status, in SQL."""
    origins = ", ".join(f"'{origin}'" for origin in sorted(before(status)))
    return f"r.status IN ({origins})"


# Ids are drawn in the order of the rows, so sorted ids are in the order of the requests.
ADD = text("""
    INSERT INTO parse_requests (url, trace_id, options)
    SELECT url, trace_id, options::jsonb
    FROM unnest(
        CAST(:urls AS text[]), CAST(:trace_ids AS text[]), CAST(:options AS text[])
    ) WITH ORDINALITY AS v(url, trace_id, options, position)
    ORDER BY position
    RETURNING id
""")

_STATUS = "SELECT id AS request_id, status, attempts, created_at, updated_at FROM parse_requests"

STATUSES = text(f"{_STATUS} WHERE id = ANY(CAST(:ids AS bigint[]))")

# For one alone: on a large table the statement above is planned anew each time.
STATUS = text(f"{_STATUS} WHERE id = :id")

RESULT = text("""
    SELECT id AS request_id, status, title, html_content AS html, title_source,
        metadata::text AS metadata, error::text AS error, redirects::text AS redirects,
        final_url, http_status, content_type, charset, bytes, elapsed_ms, fetched_at
    FROM parse_requests WHERE id = :id
""")

# A new token for each push: a late result of an earlier one then counts no more.
# Its twin, which reads the format, is `parser_client/token.py`.
_NEW_TOKEN = "r.id || '-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 16)"  # noqa: S105

_AGE = "extract(epoch FROM clock_timestamp() - r.created_at)::float8 AS age"

MARK_PROCESSING = text(f"""
    UPDATE parse_requests r
    SET status = 'processing', token = {_NEW_TOKEN}, updated_at = now()
    WHERE r.id = ANY(CAST(:ids AS bigint[])) AND {_moving_to(StatusEnum.PROCESSING)}
    RETURNING r.id, r.url, r.token, r.trace_id, r.options, r.alone
""")

CLAIM_STRANDED = text(f"""
    UPDATE parse_requests r
    SET status = 'processing', token = {_NEW_TOKEN}, updated_at = now()
    WHERE r.id IN (
        SELECT id FROM parse_requests
        WHERE status IN ('pending', 'processing') AND status = 'pending'
            AND created_at < now() - make_interval(secs => :age)
        ORDER BY id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ) AND {_moving_to(StatusEnum.PROCESSING)}
    RETURNING r.id, r.url, r.token, r.trace_id, r.options, r.alone
""")

_EXHAUSTED = "r.attempts + 1 >= :max_attempts"

COUNT_DEAD_ATTEMPTS = text(f"""
    UPDATE parse_requests r
    SET attempts = r.attempts + 1, alone = r.attempts + 2 >= :max_attempts,
        suspect_since = NULL, updated_at = now(),
        status = CASE WHEN {_EXHAUSTED} THEN 'failure' ELSE r.status END,
        token = CASE WHEN {_EXHAUSTED} THEN NULL ELSE {_NEW_TOKEN} END,
        error = CASE WHEN {_EXHAUSTED} THEN jsonb_build_object(
            'code', 'attempts_exhausted',
            'message', 'Given up after ' || (r.attempts + 1) ||
                ' attempts; at the last, the parser that had the page died.',
            'retryable', false
        ) END
    WHERE r.id = ANY(CAST(:ids AS bigint[])) AND r.token = ANY(CAST(:tokens AS text[]))
        AND {_moving_to(StatusEnum.FAILURE)}
    RETURNING r.id, r.url, r.token, r.trace_id, r.options, r.alone, r.status, {_AGE}
""")

# A plan that fits short arrays, once the server has settled on it, takes the product of both
# sizes for an array as long as the table.
PLAN_FOR_THE_SIZES = text("SET LOCAL plan_cache_mode = 'force_custom_plan'")

# Pushed, and neither waiting for its next attempt nor touched since the look began.
MISSING = text("""
    SELECT id, token FROM parse_requests
    WHERE status IN ('pending', 'processing') AND status = 'processing'
        AND next_attempt_at IS NULL AND updated_at < :before
        AND id <> ALL(CAST(:seen AS bigint[]))
""")

KEEP_ONLY_SUSPECTS = text("""
    UPDATE parse_requests SET suspect_since = NULL
    WHERE suspect_since IS NOT NULL AND id <> ALL(CAST(:missing AS bigint[]))
""")

NOTE_SUSPECTS = text("""
    UPDATE parse_requests SET suspect_since = now()
    WHERE id = ANY(CAST(:missing AS bigint[])) AND suspect_since IS NULL
        AND status = 'processing'
""")

CLAIM_LOST = text(f"""
    UPDATE parse_requests r
    SET token = {_NEW_TOKEN}, suspect_since = NULL, updated_at = now()
    WHERE r.id IN (
        SELECT id FROM parse_requests
        WHERE suspect_since <= now() - make_interval(secs => :age) AND status = 'processing'
        ORDER BY id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    RETURNING r.id, r.url, r.token, r.trace_id, r.options, r.alone
""")

COUNT_UNFINISHED = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM parse_requests WHERE status IN ('pending', 'processing') LIMIT :most
    ) AS unfinished
""")

# Through the partial index: ended requests cost nothing.
UNFINISHED = text("""
    SELECT state, count(*) AS requests, count(suspect_since) AS suspects,
        extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS oldest_age
    FROM (
        SELECT created_at, suspect_since, CASE
            WHEN status = 'pending' THEN 'pending'
            WHEN next_attempt_at IS NULL THEN 'processing'
            ELSE 'retrying' END AS state
        FROM parse_requests WHERE status IN ('pending', 'processing')
        ORDER BY id LIMIT :most
    ) AS unfinished
    GROUP BY state
""")

CLAIM_DUE = text(f"""
    UPDATE parse_requests r
    SET token = {_NEW_TOKEN}, next_attempt_at = NULL, updated_at = now()
    WHERE r.id IN (
        SELECT id FROM parse_requests
        WHERE next_attempt_at <= now() AND status = 'processing'
        ORDER BY next_attempt_at LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    RETURNING r.id, r.url, r.token, r.trace_id, r.options, r.alone
""")

MARK_SUCCESS = text(f"""
    UPDATE parse_requests r
    SET status = 'success', token = NULL, next_attempt_at = NULL, suspect_since = NULL,
        attempts = r.attempts + 1, updated_at = now(),
        title = v.title, html_content = v.html, title_source = v.title_source,
        metadata = v.metadata::jsonb, final_url = v.final_url,
        redirects = v.redirects::jsonb, http_status = v.http_status,
        content_type = v.content_type, charset = v.charset, bytes = v.size,
        elapsed_ms = v.elapsed_ms, fetched_at = v.fetched_at
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:tokens AS text[]), CAST(:titles AS text[]),
        CAST(:htmls AS text[]), CAST(:title_sources AS text[]), CAST(:metadatas AS text[]),
        CAST(:final_urls AS text[]), CAST(:redirects AS text[]),
        CAST(:http_statuses AS smallint[]), CAST(:content_types AS text[]),
        CAST(:charsets AS text[]), CAST(:sizes AS integer[]), CAST(:elapsed AS integer[]),
        CAST(:fetched AS timestamptz[])
    ) AS v(id, token, title, html, title_source, metadata, final_url, redirects,
           http_status, content_type, charset, size, elapsed_ms, fetched_at)
    WHERE r.id = v.id AND {_moving_to(StatusEnum.SUCCESS)}
        AND (v.token IS NULL OR r.token = v.token)
    RETURNING r.id, r.status, {_AGE}
""")

_AGAIN = "v.pause IS NOT NULL AND r.attempts + 1 < :max_attempts"
_PAUSE = "least(:max_delay, :base_delay * 2 ^ r.attempts) * (0.5 + random() / 2)"

MARK_ATTEMPTS_FAILED = text(f"""
    UPDATE parse_requests r
    SET attempts = r.attempts + 1, token = NULL, suspect_since = NULL, updated_at = now(),
        status = CASE WHEN {_AGAIN} THEN r.status ELSE 'failure' END,
        next_attempt_at = CASE WHEN {_AGAIN}
            THEN now() + make_interval(secs => greatest(v.pause, {_PAUSE})) END,
        error = CASE WHEN {_AGAIN} THEN NULL ELSE v.error::jsonb END
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:tokens AS text[]), CAST(:errors AS text[]),
        CAST(:pauses AS double precision[])
    ) AS v(id, token, error, pause)
    WHERE r.id = v.id AND {_moving_to(StatusEnum.FAILURE)}
        AND (v.token IS NULL OR r.token = v.token)
    RETURNING r.id, r.status, {_AGE}
""")

# The first condition is the partial index's, word for word, so that the planner uses it.
PROCESSING = text("""
    SELECT id FROM parse_requests
    WHERE status IN ('pending', 'processing') AND status = 'processing'
        AND next_attempt_at IS NULL AND id > :after
    ORDER BY id LIMIT :limit
""")
