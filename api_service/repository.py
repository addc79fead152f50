"""All SQL on parse requests. One `mark_*` for each status change; nothing here commits.

The legal moves are part of each UPDATE's condition, so that late and doubled messages
change nothing. What changes many rows takes arrays and is one statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    DateTime,
    Row,
    TextClause,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.models import IdempotencyKey, ParseRequest
from api_service.responses import ErrorFacts, PageFacts
from api_service.status_enum import StatusEnum, before

ENDED_CHANNEL = "parse_requests_ended"
"""The channel of PostgreSQL notifications; the payload is ids, separated by commas."""

KEY_KEPT = timedelta(hours=24)
"""How long an idempotency key is remembered."""

_IDS_IN_A_NOTICE = 300  # a payload has room for 8,000 bytes


@dataclass(frozen=True, slots=True)
class Pushable:
    """A request that has just become a parser's affair, and what to push for it.

    Attributes:
        token: names the attempt; only its result counts.
        options: what the client asked for besides the URL.
    """

    request_id: int
    url: str
    token: str
    trace_id: str | None
    options: dict[str, bool]
    alone: bool


@dataclass(frozen=True, slots=True)
class Success:
    """The end of an attempt with a page; without a token, of whichever is under way."""

    request_id: int
    token: str | None
    title: str
    html: str
    facts: PageFacts


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """The end of an attempt without a page.

    Attributes:
        retry_after: seconds that must pass before the next; None if there is to be none.
    """

    request_id: int
    token: str | None
    error: ErrorFacts
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a page is tried, and how long the pauses are.

    Attributes:
        max_attempts: after so many the request fails.
        base_delay: seconds of the first pause, which doubles each time; all are jittered.
        max_delay: seconds of the longest pause.
    """

    max_attempts: int
    base_delay: float
    max_delay: float


class ParseRequestRepository:
    """Reads and changes rows within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self, url: str, *, trace_id: str | None, options: dict[str, bool] | None = None
    ) -> int:
        """Store a new request; returns its id."""
        statement = (
            insert(ParseRequest)
            .values(url=url, trace_id=trace_id, options=options or None)
            .returning(ParseRequest.id)
        )
        return (await self._session.execute(statement)).scalar_one()

    async def find_status(
        self, request_id: int
    ) -> Row[int, StatusEnum, int, datetime, datetime] | None:
        """`request_id, status, attempts, created_at, updated_at`; not the page itself."""
        statement = select(
            ParseRequest.id.label("request_id"),
            ParseRequest.status,
            ParseRequest.attempts,
            ParseRequest.created_at,
            ParseRequest.updated_at,
        ).where(ParseRequest.id == request_id)
        return (await self._session.execute(statement)).one_or_none()

    async def find(self, request_id: int) -> ParseRequest | None:
        """The whole row."""
        return await self._session.get(ParseRequest, request_id)

    async def mark_processing(self, request_ids: Sequence[int]) -> list[Pushable]:
        """From `pending`; those that are elsewhere by now are not among the returned."""
        result = await self._session.execute(_MARK_PROCESSING, {"ids": list(request_ids)})
        return [_pushable(row) for row in result]

    async def mark_stranded(self, *, age: float, limit: int) -> list[Pushable]:
        """From `pending`, for so many seconds: their message was lost or is late."""
        parameters = {"age": age, "limit": limit}
        result = await self._session.execute(_MARK_STRANDED, parameters)
        return [_pushable(row) for row in result]

    async def mark_holders_dead(
        self, tokens: Sequence[str], policy: RetryPolicy
    ) -> tuple[list[Pushable], list[int]]:
        """From `processing`, of a parser that has died: to be pushed again, or to `failure`.

        Returns:
            What is to be pushed again, and the ids of those that have failed for good.
        """
        ids = [int(head) for token in tokens if (head := token.partition("-")[0]).isdecimal()]
        result = await self._session.execute(
            _MARK_HOLDERS_DEAD,
            {"ids": ids, "tokens": list(tokens), "max_attempts": policy.max_attempts},
        )
        rows = result.all()
        failed = [row.id for row in rows if row.status == StatusEnum.FAILURE]
        return [_pushable(row) for row in rows if row.status != StatusEnum.FAILURE], failed

    async def missing(self, seen: Sequence[int], *, before: datetime) -> Sequence[Row[int, str]]:
        """`id, token` of pushed requests that were not seen, nor touched since."""
        parameters = {"seen": list(seen), "before": before}
        return (await self._session.execute(_MISSING, parameters)).all()

    async def note_suspects(self, missing: Sequence[int]) -> None:
        """Note since when these are missing, and that all others are not."""
        await self._session.execute(_CLEAR_SUSPECTS, {"missing": list(missing)})
        await self._session.execute(_NOTE_SUSPECTS, {"missing": list(missing)})

    async def mark_lost(self, *, age: float, limit: int) -> list[Pushable]:
        """From `processing`, and missing for so many seconds; stays `processing`, to be pushed."""
        result = await self._session.execute(_MARK_LOST, {"age": age, "limit": limit})
        return [_pushable(row) for row in result]

    async def now(self) -> datetime:
        """The database's clock, the only one that counts."""
        result = await self._session.execute(select(func.clock_timestamp(type_=DateTime)))
        return result.scalar_one()

    async def try_lock(self, key: int) -> bool:
        """Hold a lock until the transaction ends, unless somebody else holds it."""
        locked = select(func.pg_try_advisory_xact_lock(key))
        return bool((await self._session.execute(locked)).scalar_one())

    async def count_unfinished(self, *, most: int) -> int:
        """How many requests have not ended, counted up to a number."""
        return int((await self._session.execute(_COUNT_UNFINISHED, {"most": most})).scalar_one())

    async def mark_due(self, *, limit: int) -> list[Pushable]:
        """From waiting for the next attempt, whose time has come; stays `processing`."""
        result = await self._session.execute(_MARK_DUE, {"limit": limit})
        return [_pushable(row) for row in result]

    async def mark_success(self, ended: Sequence[Success]) -> list[int]:
        """From `processing`; returns which have changed."""
        if not ended:
            return []
        facts = [item.facts for item in ended]
        result = await self._session.execute(
            _MARK_SUCCESS,
            {
                "ids": [item.request_id for item in ended],
                "tokens": [item.token for item in ended],
                "titles": [item.title for item in ended],
                "htmls": [item.html for item in ended],
                "title_sources": [item.title_source for item in facts],
                "metadatas": [_json(item.metadata) for item in facts],
                "final_urls": [item.final_url for item in facts],
                "redirects": [_redirects(item) for item in facts],
                "http_statuses": [item.http_status for item in facts],
                "content_types": [item.content_type for item in facts],
                "charsets": [item.charset for item in facts],
                "sizes": [item.bytes for item in facts],
                "elapsed": [item.elapsed_ms for item in facts],
                "fetched": [item.fetched_at for item in facts],
            },
        )
        return [row.id for row in result]

    async def mark_attempts_failed(
        self, failed: Sequence[FailedAttempt], policy: RetryPolicy
    ) -> list[int]:
        """From `processing`: to `failure`, or to waiting for the next attempt.

        Returns which have failed for good.
        """
        if not failed:
            return []
        result = await self._session.execute(
            _MARK_ATTEMPTS_FAILED,
            {
                "ids": [item.request_id for item in failed],
                "tokens": [item.token for item in failed],
                "errors": [item.error.model_dump_json(exclude_none=True) for item in failed],
                "pauses": [item.retry_after for item in failed],
                "max_attempts": policy.max_attempts,
                "base_delay": policy.base_delay,
                "max_delay": policy.max_delay,
            },
        )
        return [row.id for row in result if row.status == StatusEnum.FAILURE]

    async def notify_ended(self, request_ids: Sequence[int]) -> None:
        """Have everybody who waits for these requests told, once this transaction commits."""
        for start in range(0, len(request_ids), _IDS_IN_A_NOTICE):
            payload = ",".join(map(str, request_ids[start : start + _IDS_IN_A_NOTICE]))
            await self._session.execute(select(func.pg_notify(ENDED_CHANNEL, payload)))

    async def processing_ids(self, *, after: int, limit: int) -> list[int]:
        """The next requests that a parser may have, by id."""
        result = await self._session.execute(_PROCESSING, {"after": after, "limit": limit})
        return list(result.scalars())

    async def delete_older_than(self, age: timedelta, *, limit: int) -> int:
        """Delete up to `limit` requests; one that has not ended is spared while it still moves."""
        cutoff = func.now() - literal(age)
        doomed = (
            select(ParseRequest.id)
            .where(ParseRequest.created_at < cutoff)
            .where(
                ParseRequest.status.in_([s for s in StatusEnum if s.is_final])
                | (ParseRequest.updated_at < cutoff)
            )
            .order_by(ParseRequest.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = delete(ParseRequest).where(ParseRequest.id.in_(doomed)).returning(literal(1))
        return len((await self._session.execute(statement)).all())


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What a client asked for under an idempotency key, and what it got."""

    fingerprint: str
    request_id: int


class IdempotencyRepository:
    """Keys of clients that ask again, within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def try_lock(self, caller: str, key: str) -> bool:
        """Keep others out until the transaction ends; False if somebody else does so already."""
        number = func.hashtextextended(f"{len(caller)}:{caller}{key}", 0)
        locked = select(func.pg_try_advisory_xact_lock(number))
        return bool((await self._session.execute(locked)).scalar_one())

    async def find(self, caller: str, key: str, *, age: timedelta) -> KnownKey | None:
        """A key that was used in the time that keys are kept."""
        statement = select(IdempotencyKey.fingerprint, IdempotencyKey.request_id).where(
            IdempotencyKey.caller == caller,
            IdempotencyKey.key == key,
            IdempotencyKey.created_at > func.now() - literal(age),
        )
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else KnownKey(row.fingerprint, row.request_id)

    async def add(self, caller: str, key: str, known: KnownKey) -> None:
        """Keep a key; one that was kept long enough gives way."""
        values = {
            "fingerprint": known.fingerprint,
            "request_id": known.request_id,
            "created_at": func.now(),
        }
        statement = pg_insert(IdempotencyKey).values(caller=caller, key=key, **values)
        await self._session.execute(
            statement.on_conflict_do_update(index_elements=["caller", "key"], set_=values)
        )

    async def delete_older_than(self, age: timedelta, *, limit: int) -> int:
        """Forget up to so many keys; returns how many."""
        columns = (IdempotencyKey.caller, IdempotencyKey.key)
        doomed = (
            select(*columns)
            .where(IdempotencyKey.created_at <= func.now() - literal(age))
            .limit(limit)
        )
        statement = delete(IdempotencyKey).where(tuple_(*columns).in_(doomed))
        return len((await self._session.execute(statement.returning(literal(1)))).all())


def _pushable(row: Row[Any]) -> Pushable:
    return Pushable(row.id, row.url, row.token, row.trace_id, row.options or {}, row.alone)


def _json(model: Any) -> str | None:
    return None if model is None else model.model_dump_json()


def _redirects(facts: PageFacts) -> str | None:
    if facts.redirects is None:
        return None
    return f"[{','.join(hop.model_dump_json() for hop in facts.redirects)}]"


def _moving_to(status: StatusEnum) -> str:
    """The condition that a row may move to a status, in SQL."""
    origins = ", ".join(f"'{origin}'" for origin in sorted(before(status)))
    return f"r.status IN ({origins})"


def _statement(sql: str) -> TextClause:
    return text(sql)


# A new token for each push: a late result of an earlier one then counts no more.
_NEW_TOKEN = "r.id || '-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 16)"  # noqa: S105

_MARK_PROCESSING = _statement(f"""
    UPDATE parse_requests r
    SET status = 'processing', token = {_NEW_TOKEN}, updated_at = now()
    WHERE r.id = ANY(CAST(:ids AS bigint[])) AND {_moving_to(StatusEnum.PROCESSING)}
    RETURNING r.id, r.url, r.token, r.trace_id, r.options, r.alone
""")

_MARK_STRANDED = _statement(f"""
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

_MARK_HOLDERS_DEAD = _statement(f"""
    UPDATE parse_requests r
    SET attempts = r.attempts + 1, alone = true, suspect_since = NULL, updated_at = now(),
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
    RETURNING r.id, r.url, r.token, r.trace_id, r.options, r.alone, r.status
""")

# Pushed, and neither waiting for its next attempt nor touched since the look began.
_MISSING = _statement("""
    SELECT id, token FROM parse_requests
    WHERE status IN ('pending', 'processing') AND status = 'processing'
        AND next_attempt_at IS NULL AND updated_at < :before
        AND id <> ALL(CAST(:seen AS bigint[]))
""")

_CLEAR_SUSPECTS = _statement("""
    UPDATE parse_requests SET suspect_since = NULL
    WHERE suspect_since IS NOT NULL AND id <> ALL(CAST(:missing AS bigint[]))
""")

_NOTE_SUSPECTS = _statement("""
    UPDATE parse_requests SET suspect_since = now()
    WHERE id = ANY(CAST(:missing AS bigint[])) AND suspect_since IS NULL
        AND status = 'processing'
""")

_MARK_LOST = _statement(f"""
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

_COUNT_UNFINISHED = _statement("""
    SELECT count(*) FROM (
        SELECT 1 FROM parse_requests WHERE status IN ('pending', 'processing') LIMIT :most
    ) AS unfinished
""")

_MARK_DUE = _statement(f"""
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

_MARK_SUCCESS = _statement(f"""
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
    RETURNING r.id
""")

_AGAIN = "v.pause IS NOT NULL AND r.attempts + 1 < :max_attempts"
_PAUSE = "least(:max_delay, :base_delay * 2 ^ r.attempts) * (0.5 + random() / 2)"

_MARK_ATTEMPTS_FAILED = _statement(f"""
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
    RETURNING r.id, r.status
""")

# The first condition is the partial index's, word for word, so that the planner uses it.
_PROCESSING = _statement("""
    SELECT id FROM parse_requests
    WHERE status IN ('pending', 'processing') AND status = 'processing'
        AND next_attempt_at IS NULL AND id > :after
    ORDER BY id LIMIT :limit
""")
