"""All SQL on parse requests. One `mark_*` for each status change; nothing here commits.

The legal moves are part of each UPDATE's condition, so that late and doubled messages
change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.models import ParseRequest
from api_service.responses import ErrorFacts, PageFacts
from api_service.status_enum import StatusEnum, before

ENDED_CHANNEL = "parse_requests_ended"
"""The channel of PostgreSQL notifications; the payload is ids, separated by commas."""

_IDS_IN_A_NOTICE = 300  # a payload has room for 8,000 bytes


@dataclass(frozen=True, slots=True)
class Started:
    """A request that has just become `processing`."""

    request_id: int
    url: str
    trace_id: str | None


class ParseRequestRepository:
    """Reads and changes rows within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, url: str, *, trace_id: str | None) -> int:
        """Store a new request; returns its id."""
        statement = (
            insert(ParseRequest).values(url=url, trace_id=trace_id).returning(ParseRequest.id)
        )
        return (await self._session.execute(statement)).scalar_one()

    async def find_status(self, request_id: int) -> Row[int, StatusEnum, datetime, datetime] | None:
        """`request_id, status, created_at, updated_at`; the page itself is not read."""
        statement = select(
            ParseRequest.id.label("request_id"),
            ParseRequest.status,
            ParseRequest.created_at,
            ParseRequest.updated_at,
        ).where(ParseRequest.id == request_id)
        return (await self._session.execute(statement)).one_or_none()

    async def find(self, request_id: int) -> ParseRequest | None:
        """The whole row."""
        return await self._session.get(ParseRequest, request_id)

    async def mark_processing(self, request_id: int, *, token: str) -> Started | None:
        """From `pending`; None if the request is elsewhere by now."""
        statement = (
            update(ParseRequest)
            .where(_may_become(StatusEnum.PROCESSING), ParseRequest.id == request_id)
            .values(status=StatusEnum.PROCESSING, token=token, updated_at=func.now())
            .returning(ParseRequest.id, ParseRequest.url, ParseRequest.trace_id)
        )
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else Started(row.id, row.url, row.trace_id)

    async def mark_success(
        self, request_id: int, *, token: str | None, title: str, html: str, facts: PageFacts
    ) -> bool:
        """From `processing`, by the attempt that the token names, or by any if there is none.

        Returns whether the row was changed.
        """
        values = {"title": title, "html_content": html, **facts.model_dump()}
        return await self._mark_ended(request_id, StatusEnum.SUCCESS, token, values)

    async def mark_failure(self, request_id: int, *, token: str | None, error: ErrorFacts) -> bool:
        """From `processing`, likewise."""
        values = {"error": error.model_dump(exclude_none=True)}
        return await self._mark_ended(request_id, StatusEnum.FAILURE, token, values)

    async def notify_ended(self, request_ids: Sequence[int]) -> None:
        """Have everybody who waits for these requests told, once this transaction commits."""
        for start in range(0, len(request_ids), _IDS_IN_A_NOTICE):
            payload = ",".join(map(str, request_ids[start : start + _IDS_IN_A_NOTICE]))
            await self._session.execute(select(func.pg_notify(ENDED_CHANNEL, payload)))

    async def processing_ids(self, *, after: int, limit: int) -> Sequence[int]:
        """The next requests in `processing`, by id."""
        statement = (
            select(ParseRequest.id)
            .where(ParseRequest.status == StatusEnum.PROCESSING, _is_unfinished())
            .where(ParseRequest.id > after)
            .order_by(ParseRequest.id)
            .limit(limit)
        )
        return (await self._session.execute(statement)).scalars().all()

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

    async def _mark_ended(
        self, request_id: int, status: StatusEnum, token: str | None, values: dict[str, Any]
    ) -> bool:
        statement = (
            update(ParseRequest)
            .where(_may_become(status), ParseRequest.id == request_id)
            .values(status=status, token=None, updated_at=func.now(), **values)
            .returning(ParseRequest.id)
        )
        if token is not None:
            statement = statement.where(ParseRequest.token == token)
        return (await self._session.execute(statement)).one_or_none() is not None


def _may_become(status: StatusEnum) -> ColumnElement[bool]:
    return ParseRequest.status.in_(before(status))


def _is_unfinished() -> ColumnElement[bool]:
    """The condition of the partial index, word for word, so that the planner uses it."""
    return text("status IN ('pending', 'processing')")  # type: ignore[return-value]
