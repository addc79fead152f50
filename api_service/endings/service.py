"""What the worker does with requests. Each use case owns its transaction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

import structlog

from api_service.database import Database
from api_service.exceptions import UnstorableError
from api_service.idempotency.service import forget_old_keys
from api_service.metrics import worker as metrics
from api_service.parser_client.jobs import JobList
from api_service.parser_client.messages import (
    FailureResult,
    Job,
    PageResult,
    Result,
    not_understood,
)
from api_service.repository import (
    FailedAttempt,
    JobToPush,
    ParseRequestRepository,
    RetryPolicy,
    SucceededAttempt,
)
from api_service.responses import ErrorFacts, PageFacts
from api_service.status_enum import StatusEnum

CLEANUP_BATCH = 200
KEY_BATCH = 1000
MOST_KEY_BATCHES = 50
"""A minute: more than clients can make."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CleanupProgress:
    """How many requests were deleted, and whether those were all."""

    deleted: int
    is_done: bool


class JobService:
    """Hands requests to the parsers, takes their results, and cleans up behind."""

    def __init__(
        self,
        *,
        database: Database,
        job_list: JobList,
        retries: RetryPolicy,
        retention: timedelta,
    ) -> None:
        self._database = database
        self._job_list = job_list
        self._retries = retries
        self._retention = retention

    async def start(self, request_ids: Sequence[int]) -> None:
        """Hand pending requests to the parsers; those elsewhere by now are left alone."""
        async with self._database.transaction() as session:
            started = await ParseRequestRepository(session).mark_processing(request_ids)
        await self.push(started)
        if len(started) < len(request_ids):
            log.info("not started: not pending", requests=len(request_ids) - len(started))

    async def record(self, results: Mapping[int, Result]) -> None:
        """Persist finished results in one transaction; doubled and late ones change nothing.

        Should one of them be something that the database does not take, they are persisted
        one by one, and that one is a failure: it must not hold up the others.
        """
        if not results:
            return
        try:
            await self._record(results)
        except UnstorableError:
            log.error("results are persisted one by one", results=len(results))
            for request_id, result in results.items():
                await self._record_alone(request_id, result)

    async def _record_alone(self, request_id: int, result: Result) -> None:
        try:
            await self._record({request_id: result})
        except UnstorableError as error:
            log.error("result not storable", request_id=request_id, error=str(error)[:300])
            failure = not_understood().model_copy(update={"token": result.token})
            await self._record({request_id: failure})

    async def _record(self, results: Mapping[int, Result]) -> None:
        # In the order of ids, so that two who write at once do not wait for each other.
        ordered = [(request_id, results[request_id]) for request_id in sorted(results)]
        successes = [_success(i, r) for i, r in ordered if isinstance(r, PageResult)]
        failed = [self._failed_attempt(i, r) for i, r in ordered if isinstance(r, FailureResult)]
        async with self._database.transaction() as session:
            repository = ParseRequestRepository(session)
            moved = await repository.mark_success(successes)
            moved += await repository.mark_attempts_failed(failed, self._retries)
            ended = [item for item in moved if item.status.is_final]
            await repository.notify_ended([item.request_id for item in ended])
        log.info("results recorded", results=len(results), ended=len(ended))
        metrics.results_persisted(len(results))
        metrics.attempts_retried(len(moved) - len(ended))
        codes = {item.request_id: item.error.code for item in failed}
        for item in ended:
            if item.status == StatusEnum.SUCCESS:
                metrics.request_succeeded(age=item.age)
            else:
                metrics.request_failed(codes[item.request_id], age=item.age)

    async def processing_ids(self, *, after: int, limit: int) -> list[int]:
        """The next requests that a parser may have, by id."""
        async with self._database.transaction() as session:
            return await ParseRequestRepository(session).processing_ids(after=after, limit=limit)

    async def clean_up(self, *, seconds: float = math.inf) -> CleanupProgress:
        """Delete requests older than the retention, in small batches.

        Args:
            seconds: after which no other batch is begun.
        """
        until = monotonic() + seconds
        deleted = 0
        while True:
            async with self._database.transaction() as session:
                batch = await ParseRequestRepository(session).delete_older_than(
                    self._retention, limit=CLEANUP_BATCH
                )
            deleted += batch
            metrics.DELETED.inc(batch)
            is_done = batch < CLEANUP_BATCH
            if is_done or monotonic() > until:
                log.info("old requests deleted", deleted=deleted)
                return CleanupProgress(deleted, is_done)

    async def forget_keys(self) -> None:
        """Forget idempotency keys that have been kept long enough, in small batches.

        There is an end to it, so that what else the worker does is not held up.
        """
        for _ in range(MOST_KEY_BATCHES):
            async with self._database.transaction() as session:
                forgotten = await forget_old_keys(session, limit=KEY_BATCH)
            if forgotten < KEY_BATCH:
                return

    async def push(self, requests: Sequence[JobToPush]) -> None:
        """Hand requests to the parsers that have just become theirs."""
        if not requests:
            return
        await self._job_list.push(
            [
                Job(
                    id=request.request_id,
                    url=request.url,
                    token=request.token,
                    reply=self._job_list.reply_list,
                    trace=request.trace_id,
                    respect_robots=request.options.get("respect_robots"),
                    title_fallback=request.options.get("title_fallback"),
                    alone=request.alone or None,
                    html_apart=True,
                )
                for request in requests
            ]
        )
        metrics.PUSHED.inc(len(requests))
        for request in requests:
            log.info("job pushed", request_id=request.request_id, trace_id=request.trace_id)

    def _failed_attempt(self, request_id: int, result: FailureResult) -> FailedAttempt:
        """A failure that may pass is tried again, unless the site wants us away for too long."""
        error = _error_facts(result)
        asked_for = (result.reason.retry_after if result.reason else None) or 0.0
        again = error.retryable and asked_for <= self._retries.max_delay
        return FailedAttempt(
            request_id=request_id,
            token=result.token,
            error=error,
            retry_after=asked_for if again else None,
        )


def _success(request_id: int, result: PageResult) -> SucceededAttempt:
    return SucceededAttempt(
        request_id=request_id,
        token=result.token,
        title=result.title,
        html=result.html,
        facts=PageFacts.model_validate(result),
    )


def _error_facts(result: FailureResult) -> ErrorFacts:
    if result.reason is None:
        return ErrorFacts(code="internal_error", message=result.error[:500])
    return ErrorFacts.model_validate(result.reason)
