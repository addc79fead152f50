"""The core's SQL on parse requests: add them, and read them for their caller. It never commits."""

# ruff: noqa: S608 - the texts are put together from ours, values are parameters

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.parser_client.messages import PAGE_KIND
from api_service.schema import FACTS_FROM_OLD_COLUMNS_SQL, readable_time
from api_service.status_enum import StatusEnum, origins_of

# The partial index's condition, word for word: else the planner does not use the index.
UNFINISHED_CONDITION = "status IN ('pending', 'processing')"

# A new token for each push, so that a late result of an earlier push counts no more. Its format
# is also read by `parser_client/token.py`.
NEW_TOKEN_SQL = "r.id || '-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 16)"  # noqa: S105

MAX_INLINE_HTML_BYTES = 128 * 1024
"""Bytes of HTML that are read with the other columns of a result."""

JOB_COLUMNS = (
    "r.id, r.url, r.token, r.trace_id, r.alone, "
    "CASE WHEN octet_length(r.options::text) <= 1000 THEN r.options END AS options"
)
"""The columns of a row that becomes a `JobToPush`. Longer options are not ours, and Python's reader
refuses what is nested too deep."""

# Ids are drawn in the order of the rows, so sorted ids are in the order of the requests.
_ADD_REQUESTS = text("""
    INSERT INTO parse_requests (url, trace_id, options, owner_id)
    SELECT url, trace_id, options::jsonb, owner_id
    FROM unnest(
        CAST(:urls AS text[]), CAST(:trace_ids AS text[]), CAST(:options AS text[]),
        CAST(:owner_ids AS uuid[])
    ) WITH ORDINALITY AS v(url, trace_id, options, owner_id, position)
    ORDER BY position
    RETURNING id
""")

_STATUS_COLUMNS = (
    "r.id AS request_id, r.owner_id, r.status, r.attempts, "
    f"{readable_time('r.created_at')} AS created_at, {readable_time('r.updated_at')} AS updated_at"
)

# By an array first: with old statistics, a join could read the whole index.
_READ_STATUSES = text(f"""
    WITH found AS MATERIALIZED (
        SELECT {_STATUS_COLUMNS} FROM parse_requests r WHERE r.id = ANY(CAST(:ids AS bigint[]))
    )
    SELECT found.*
    FROM unnest(CAST(:ids AS bigint[]), CAST(:owner_ids AS uuid[])) AS v(id, owner_id)
    JOIN found ON found.request_id = v.id AND found.owner_id IS NOT DISTINCT FROM v.owner_id
""")

# For one alone: PostgreSQL plans the statement above again for each call on a large table.
_READ_STATUS = text(f"""
    SELECT {_STATUS_COLUMNS} FROM parse_requests r
    WHERE r.id = :id AND r.owner_id IS NOT DISTINCT FROM CAST(:owner_id AS uuid)
""")

# HTML is read here only up to a length: PostgreSQL knows the length without reading the text.
_READ_RESULT_WITH_SHORT_HTML = text(f"""
    SELECT id AS request_id, status, title, error::text AS error,
        octet_length(html_content) AS html_bytes,
        CASE WHEN octet_length(html_content) <= :max_html THEN html_content END AS html,
        CASE WHEN facts IS NULL THEN {FACTS_FROM_OLD_COLUMNS_SQL} ELSE facts END::text AS facts
    FROM parse_requests
    WHERE id = :id AND owner_id IS NOT DISTINCT FROM CAST(:owner_id AS uuid)
""")

_READ_HTML = text("""
    SELECT html_content FROM parse_requests
    WHERE id = :id AND owner_id IS NOT DISTINCT FROM CAST(:owner_id AS uuid)
""")

# A request ends after it was accepted, so the index on `created_at` leads to all of them. An ended
# row never changes, so `updated_at` is its end. As an array: a join could read the whole table.
_DELETE_ENDED = text(f"""
    DELETE FROM parse_requests
    WHERE id = ANY(ARRAY(
        SELECT id FROM parse_requests
        WHERE created_at < now() - CAST(:age AS interval)
            AND created_at >= coalesce(CAST(:after AS timestamptz), '-infinity')
            AND status IN ('success', 'failure')
            AND updated_at < now() - CAST(:age AS interval)
        ORDER BY created_at LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING {readable_time("created_at")} AS accepted_at, owner_id,
        coalesce(octet_length(html_content), 0) AS stored_bytes
""")


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to store.

    Attributes:
        options: what the client asked for besides the URL.
        owner_id: whose it is; None for anonymous callers.
        kind: of its jobs.
    """

    url: str
    trace_id: str | None = None
    options: Mapping[str, bool] = field(default_factory=dict)
    owner_id: UUID | None = None
    kind: str = PAGE_KIND

    @property
    def stored_options(self) -> dict[str, bool | str]:
        """Return the options as they are stored: with the kind, unless it is a page."""
        return dict(self.options) | ({} if self.kind == PAGE_KIND else {"kind": self.kind})


@dataclass(frozen=True, slots=True)
class IdAndOwner:
    """A request as one caller may see it: by its id, if it belongs to the owner."""

    request_id: int
    owner_id: UUID | None


@dataclass(frozen=True, slots=True)
class JobToPush:
    """A request just claimed for a parser, with its job's fields.

    Attributes:
        token: names the attempt; only its result counts.
        options: what the client asked for besides the URL.
        alone: the job must be the only one in its parser.
        kind: what the parser does.
    """

    request_id: int
    url: str
    token: str
    trace_id: str | None
    options: dict[str, Any]
    alone: bool
    kind: str = PAGE_KIND


@dataclass(frozen=True, slots=True)
class StoredResult:
    """The row of a request, as far as its result goes.

    Attributes:
        error, facts: JSON texts.
        html: None if there is none, or if it has more than `MAX_INLINE_HTML_BYTES` bytes; then
            `find_html` reads it.
        html_bytes: its length.
    """

    request_id: int
    status: StatusEnum
    title: str | None
    error: str | None
    facts: str | None
    html: str | None
    html_bytes: int | None


class ParseRequestRepository:
    """Add and read requests within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add_all(self, requests: Sequence[NewRequest]) -> list[int]:
        """Store new requests; return their ids, in this order."""
        result = await self._session.execute(
            _ADD_REQUESTS,
            {
                "urls": [request.url for request in requests],
                "trace_ids": [request.trace_id for request in requests],
                "options": [
                    json.dumps(options) if (options := request.stored_options) else None
                    for request in requests
                ],
                "owner_ids": [request.owner_id for request in requests],
            },
        )
        return sorted(result.scalars())

    async def find_statuses(self, keys: Sequence[IdAndOwner]) -> Sequence[Row[Any]]:
        """Read `request_id, owner_id, status, attempts, created_at, updated_at` of each key."""
        match keys:
            case [one]:
                parameters = {"id": one.request_id, "owner_id": one.owner_id}
                result = await self._session.execute(_READ_STATUS, parameters)
            case _:
                ids, owner_ids = [k.request_id for k in keys], [k.owner_id for k in keys]
                both = {"ids": ids, "owner_ids": owner_ids}
                result = await self._session.execute(_READ_STATUSES, both)
        return result.all()

    async def find_result(self, key: IdAndOwner) -> StoredResult | None:
        """Read a result, without its HTML if that is long."""
        parameters = {
            "id": key.request_id,
            "owner_id": key.owner_id,
            "max_html": MAX_INLINE_HTML_BYTES,
        }
        row = (await self._session.execute(_READ_RESULT_WITH_SHORT_HTML, parameters)).one_or_none()
        return None if row is None else StoredResult(**row._mapping)  # noqa: SLF001 - SQLAlchemy's name

    async def find_html(self, key: IdAndOwner) -> str | None:
        """Read the whole page."""
        parameters = {"id": key.request_id, "owner_id": key.owner_id}
        html: str | None = (
            await self._session.execute(_READ_HTML, parameters)
        ).scalar_one_or_none()
        return html

    async def delete_ended(
        self, age: timedelta, *, accepted_from: datetime | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Delete up to `limit` requests that ended longer than `age` ago, oldest first.

        Args:
            age: time since the end.
            accepted_from: leave out requests accepted before; None looks at all.
            limit: most requests to delete.

        Returns:
            The `accepted_at, owner_id, stored_bytes` of each deleted request.
        """
        parameters = {"age": age, "after": accepted_from, "limit": limit}
        return (await self._session.execute(_DELETE_ENDED, parameters)).all()


def legal_move_condition(status: StatusEnum) -> str:
    """Write the condition, in SQL, that a row `r` may move to a status."""
    origins = ", ".join(f"'{origin}'" for origin in sorted(origins_of(status)))
    return f"r.status IN ({origins})"


def job_from_row(row: Row[Any]) -> JobToPush:
    """Read a row of the columns `JOB_COLUMNS`."""
    stored = row.options if isinstance(row.options, dict) else {}
    kind = stored.get("kind")
    kind = kind if isinstance(kind, str) else PAGE_KIND
    options = {name: value for name, value in stored.items() if isinstance(value, bool)}
    return JobToPush(row.id, row.url, row.token, row.trace_id, options, row.alone, kind)
