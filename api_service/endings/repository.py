"""All SQL on the ends of attempts. One method for each status change; nothing here commits."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.endings import statements
from api_service.endings.attempts import (
    AttemptOutcome,
    FailedAttempt,
    RetryPolicy,
    SucceededAttempt,
)
from api_service.page.facts import ErrorFacts
from api_service.parser_client.token import request_id_of
from api_service.repository import JobToPush, job_from_row
from api_service.status_enum import StatusEnum

ENDED_CHANNEL = "parse_requests_ended"
"""The channel of PostgreSQL notifications; the payload is ids, separated by commas."""

_MAX_IDS_PER_NOTICE = 300  # a payload has room for 8,000 bytes


class EndingRepository:
    """Change rows whose attempt ended, within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_request_kinds_besides_page(self, request_ids: Sequence[int]) -> dict[int, str]:
        """Return the kind of each of these requests that is not a page."""
        if not request_ids:
            return {}
        result = await self._session.execute(
            statements.FIND_REQUEST_KINDS_BESIDES_PAGE, {"ids": list(request_ids)}
        )
        return {row.id: row.kind for row in result}

    async def mark_success(self, attempts: Sequence[SucceededAttempt]) -> list[AttemptOutcome]:
        """Move from `processing` to `success`; return what changed."""
        if not attempts:
            return []
        result = await self._session.execute(
            statements.MARK_SUCCESS,
            {
                "ids": [attempt.request_id for attempt in attempts],
                "tokens": [attempt.token for attempt in attempts],
                "titles": [attempt.title for attempt in attempts],
                "htmls": [attempt.html for attempt in attempts],
                "facts": [attempt.facts.model_dump_json(exclude_none=True) for attempt in attempts],
            },
        )
        return [_attempt_outcome(row) for row in result]

    async def mark_attempts_failed(
        self, attempts: Sequence[FailedAttempt], policy: RetryPolicy
    ) -> list[AttemptOutcome]:
        """Move from `processing` to `failure`, or have them wait for their next attempt.

        Returns:
            What changed, and to what.
        """
        if not attempts:
            return []
        result = await self._session.execute(
            statements.MARK_ATTEMPTS_FAILED,
            {
                "ids": [attempt.request_id for attempt in attempts],
                "tokens": [attempt.token for attempt in attempts],
                "errors": [
                    attempt.error.model_dump_json(exclude_none=True) for attempt in attempts
                ],
                "pauses": [attempt.retry_after for attempt in attempts],
                "max_attempts": policy.max_attempts,
                "base_delay": policy.base_delay,
                "max_delay": policy.max_delay,
            },
        )
        return [_attempt_outcome(row) for row in result]

    async def record_dead_attempts(
        self, tokens: Sequence[str], policy: RetryPolicy
    ) -> tuple[list[JobToPush], list[AttemptOutcome]]:
        """Count an attempt of each request whose parser died; fail it after the last.

        Returns:
            The jobs to push again, and the requests that failed.
        """
        # Tokens of other producers have other formats, and the database may refuse them.
        ids = {token: found for token in tokens if (found := request_id_of(token)) is not None}
        result = await self._session.execute(
            statements.RECORD_DEAD_ATTEMPTS,
            {"ids": list(ids.values()), "tokens": list(ids), "max_attempts": policy.max_attempts},
        )
        rows = result.all()
        failed = [_attempt_outcome(row) for row in rows if row.status == StatusEnum.FAILURE]
        return [job_from_row(row) for row in rows if row.status != StatusEnum.FAILURE], failed

    async def lock_unfinished_older_than(self, age: timedelta, *, limit: int) -> list[int]:
        """Lock and return up to `limit` unfinished requests accepted longer than `age` ago.

        Those that another session has locked are left out.
        """
        parameters = {"age": age, "limit": limit}
        return list(
            (
                await self._session.execute(statements.LOCK_UNFINISHED_OLDER_THAN, parameters)
            ).scalars()
        )

    async def mark_processing_before_expiry(self, request_ids: Sequence[int]) -> None:
        """Move from `pending` to `processing`, without an attempt, what is about to end."""
        await self._session.execute(
            statements.MARK_PROCESSING_BEFORE_EXPIRY, {"ids": list(request_ids)}
        )

    async def mark_expired(
        self, request_ids: Sequence[int], error: ErrorFacts
    ) -> list[AttemptOutcome]:
        """Move from `processing` to `failure` whatever the attempt; return what changed."""
        parameters = {
            "ids": list(request_ids),
            "error": error.model_dump_json(exclude_none=True),
        }
        result = await self._session.execute(statements.MARK_EXPIRED, parameters)
        return [_attempt_outcome(row) for row in result]

    async def notify_ended(self, request_ids: Sequence[int]) -> None:
        """Wake long polls on these requests when this transaction commits."""
        for start in range(0, len(request_ids), _MAX_IDS_PER_NOTICE):
            payload = ",".join(map(str, request_ids[start : start + _MAX_IDS_PER_NOTICE]))
            await self._session.execute(select(func.pg_notify(ENDED_CHANNEL, payload)))


def _attempt_outcome(row: Row[Any]) -> AttemptOutcome:
    return AttemptOutcome(row.id, row.owner_id, StatusEnum(row.status), row.age, row.stored_bytes)
