"""All SQL on parse requests. One `mark_*` for each status change; nothing here commits.

What changes many rows takes arrays and is one statement, in `statements.py`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    DateTime,
    Row,
    delete,
    func,
    literal,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.models import ParseRequest
from api_service.parser_client.token import request_id_of
from api_service.queueing import statements
from api_service.responses import ErrorFacts, PageFacts
from api_service.status_enum import StatusEnum

ENDED_CHANNEL = "parse_requests_ended"
"""The channel of PostgreSQL notifications; the payload is ids, separated by commas."""

_IDS_IN_A_NOTICE = 300  # a payload has room for 8,000 bytes


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What is stored of a request when it is accepted."""

    url: str
    trace_id: str | None
    options: dict[str, bool]


@dataclass(frozen=True, slots=True)
class JobToPush:
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
class SucceededAttempt:
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
class StatusChange:
    """A request whose attempt has ended.

    Attributes:
        status: where it stands now: a final one, or `processing` if there is to be another.
        age: seconds since it was accepted.
    """

    request_id: int
    status: StatusEnum
    age: float


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The requests of one state that have not ended.

    Attributes:
        suspects: those among them that nothing was found for.
        oldest_age: seconds since the oldest was accepted.
    """

    requests: int = 0
    suspects: int = 0
    oldest_age: float = 0.0


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
        [request_id] = await self.add_all([NewRequest(url, trace_id, options or {})])
        return request_id

    async def add_all(self, requests: Sequence[NewRequest]) -> list[int]:
        """Store new requests; returns their ids, in this order."""
        result = await self._session.execute(
            statements.ADD,
            {
                "urls": [request.url for request in requests],
                "trace_ids": [request.trace_id for request in requests],
                "options": [_options(request.options) for request in requests],
            },
        )
        return sorted(result.scalars())

    async def find_statuses(
        self, request_ids: Sequence[int]
    ) -> Sequence[Row[int, str, int, datetime, datetime]]:
        """`request_id, status, attempts, created_at, updated_at`; not the pages themselves."""
        match request_ids:
            case [one]:
                result = await self._session.execute(statements.STATUS, {"id": one})
            case _:
                ids = list(request_ids)
                result = await self._session.execute(statements.STATUSES, {"ids": ids})
        return result.all()

    async def find_result(self, request_id: int) -> dict[str, Any] | None:
        """What `statements.RESULT` names; what is JSON in the database comes as text."""
        result = await self._session.execute(statements.RESULT, {"id": request_id})
        row = result.mappings().one_or_none()
        return None if row is None else dict(row)

    async def mark_processing(self, request_ids: Sequence[int]) -> list[JobToPush]:
        """From `pending`; those that are elsewhere by now are not among the returned."""
        result = await self._session.execute(statements.MARK_PROCESSING, {"ids": list(request_ids)})
        return [_job_to_push(row) for row in result]

    async def claim_stranded(self, *, age: float, limit: int) -> list[JobToPush]:
        """From `pending`, for so many seconds: their message was lost or is late."""
        parameters = {"age": age, "limit": limit}
        result = await self._session.execute(statements.CLAIM_STRANDED, parameters)
        return [_job_to_push(row) for row in result]

    async def count_dead_attempts(
        self, tokens: Sequence[str], policy: RetryPolicy
    ) -> tuple[list[JobToPush], list[StatusChange]]:
        """From `processing`, of a parser that has died: to be pushed again, or to `failure`.

        Returns:
            What is to be pushed again, and those that have failed for good.
        """
        # Other producers have tokens of their own.
        ids = [i for token in tokens if (i := request_id_of(token)) is not None]
        result = await self._session.execute(
            statements.COUNT_DEAD_ATTEMPTS,
            {"ids": ids, "tokens": list(tokens), "max_attempts": policy.max_attempts},
        )
        rows = result.all()
        failed = [_status_change(row) for row in rows if row.status == StatusEnum.FAILURE]
        return [_job_to_push(row) for row in rows if row.status != StatusEnum.FAILURE], failed

    async def missing(self, seen: Sequence[int], *, before: datetime) -> Sequence[Row[int, str]]:
        """`id, token` of pushed requests that were not seen, nor touched since."""
        await self._session.execute(statements.PLAN_FOR_THE_SIZES)
        parameters = {"seen": list(seen), "before": before}
        return (await self._session.execute(statements.MISSING, parameters)).all()

    async def keep_only_suspects(self, missing: Sequence[int]) -> None:
        """Note that all but these are not missing."""
        await self._session.execute(statements.PLAN_FOR_THE_SIZES)
        await self._session.execute(statements.KEEP_ONLY_SUSPECTS, {"missing": list(missing)})

    async def note_suspects(self, missing: Sequence[int]) -> None:
        """Note since when these are missing."""
        await self._session.execute(statements.PLAN_FOR_THE_SIZES)
        await self._session.execute(statements.NOTE_SUSPECTS, {"missing": list(missing)})

    async def claim_lost(self, *, age: float, limit: int) -> list[JobToPush]:
        """From `processing`, and missing for so many seconds; stays `processing`, to be pushed."""
        result = await self._session.execute(statements.CLAIM_LOST, {"age": age, "limit": limit})
        return [_job_to_push(row) for row in result]

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
        result = await self._session.execute(statements.COUNT_UNFINISHED, {"most": most})
        return int(result.scalar_one())

    async def unfinished(self, *, most: int) -> dict[str, Unfinished]:
        """What has not ended, up to a number, by state: `pending`, `processing`, `retrying`."""
        found = {state: Unfinished() for state in ("pending", "processing", "retrying")}
        for row in await self._session.execute(statements.UNFINISHED, {"most": most}):
            found[row.state] = Unfinished(row.requests, row.suspects, row.oldest_age)
        return found

    async def claim_due(self, *, limit: int) -> list[JobToPush]:
        """From waiting for the next attempt, whose time has come; stays `processing`."""
        result = await self._session.execute(statements.CLAIM_DUE, {"limit": limit})
        return [_job_to_push(row) for row in result]

    async def mark_success(self, ended: Sequence[SucceededAttempt]) -> list[StatusChange]:
        """From `processing`; returns which have changed."""
        if not ended:
            return []
        facts = [item.facts for item in ended]
        result = await self._session.execute(
            statements.MARK_SUCCESS,
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
        return [_status_change(row) for row in result]

    async def mark_attempts_failed(
        self, failed: Sequence[FailedAttempt], policy: RetryPolicy
    ) -> list[StatusChange]:
        """From `processing`: to `failure`, or to waiting for the next attempt.

        Returns which have changed, and to what.
        """
        if not failed:
            return []
        result = await self._session.execute(
            statements.MARK_ATTEMPTS_FAILED,
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
        return [_status_change(row) for row in result]

    async def notify_ended(self, request_ids: Sequence[int]) -> None:
        """Have everybody who waits for these requests told, once this transaction commits."""
        for start in range(0, len(request_ids), _IDS_IN_A_NOTICE):
            payload = ",".join(map(str, request_ids[start : start + _IDS_IN_A_NOTICE]))
            await self._session.execute(select(func.pg_notify(ENDED_CHANNEL, payload)))

    async def processing_ids(self, *, after: int, limit: int) -> list[int]:
        """The next requests that a parser may have, by id."""
        result = await self._session.execute(
            statements.PROCESSING, {"after": after, "limit": limit}
        )
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


def _job_to_push(row: Row[Any]) -> JobToPush:
    return JobToPush(row.id, row.url, row.token, row.trace_id, row.options or {}, row.alone)


def _options(options: dict[str, bool]) -> str | None:
    return json.dumps(options) if options else None


def _status_change(row: Row[Any]) -> StatusChange:
    return StatusChange(row.id, StatusEnum(row.status), row.age)


def _json(model: Any) -> str | None:
    return None if model is None else model.model_dump_json()


def _redirects(facts: PageFacts) -> str | None:
    if facts.redirects is None:
        return None
    return f"[{','.join(hop.model_dump_json() for hop in facts.redirects)}]"
