"""Every end of an attempt is written here: the row, what other rooms add to it, and wake-ups."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

import structlog

from api_service.database import Database, Session
from api_service.endings.attempts import (
    AttemptOutcome,
    FailedAttempt,
    RetryPolicy,
    SucceededAttempt,
)
from api_service.endings.repository import EndingRepository
from api_service.endings.steps import EndingStep, run_steps
from api_service.exceptions import UnstorableError
from api_service.metrics import worker as metrics
from api_service.page.facts import ErrorFacts
from api_service.parser_client.messages import (
    PAGE_KIND,
    FailureResult,
    Result,
    SuccessResult,
    log_and_make_unreadable_result,
)
from api_service.repository import JobToPush
from api_service.status_enum import StatusEnum
from api_service.stored_bytes.repository import StoredBytesRepository

Recorder = Callable[[Session, Mapping[int, SuccessResult]], Awaitable[list[AttemptOutcome]]]
"""Write the successful results of one kind of job; return the requests that changed.

The session's transaction is that of the end. An `EndingRepository` on it marks the requests.
"""

RequestLock = Callable[[Session], Awaitable[Sequence[int]]]
"""Lock unfinished requests in the session's transaction, and return their ids."""

_UNRECORDABLE_ERRORS = (UnstorableError, ValueError, TypeError, ArithmeticError, RecursionError)
"""What a value raises that JSON or the database has no form for; outages raise others."""

log = structlog.get_logger()


async def record_pages(
    session: Session, results: Mapping[int, SuccessResult]
) -> list[AttemptOutcome]:
    """Write pages to their rows."""
    return await EndingRepository(session).mark_success(
        [
            SucceededAttempt(
                request_id=request_id,
                token=result.token,
                title=result.title,
                html=result.html,
                facts=result.facts,
            )
            for request_id, result in results.items()
        ]
    )


CORE_RECORDERS: Mapping[str, Recorder] = {PAGE_KIND: record_pages}
"""Maps each kind of job of the core to the recorder of its results."""


class Endings:
    """Ends attempts and requests, each batch in one transaction.

    Args:
        steps: run in the transaction in which requests end, in this order. A request ends also if
            a step fails for it: the log names both, see `steps.py`.
        recorders: by kind of job; a request of another kind fails.
    """

    def __init__(
        self,
        *,
        database: Database,
        retries: RetryPolicy,
        steps: Sequence[EndingStep] = (),
        recorders: Mapping[str, Recorder] = CORE_RECORDERS,
    ) -> None:
        self._database = database
        self._retries = retries
        self._steps = steps
        self._recorders = recorders

    async def record(self, results: Mapping[int, Result]) -> None:
        """Persist results in one transaction; doubled and late ones change nothing.

        If a value cannot be written or the database refuses it, the results are persisted one by
        one, and the one with that value becomes a failure: it must not hold up the others.
        """
        if not results:
            return
        try:
            await self._record(results)
        except _UNRECORDABLE_ERRORS as error:
            log.warning("results persisted singly", results=len(results), error=repr(error)[:300])
            for request_id, result in results.items():
                await self._record_alone(request_id, result)

    async def record_dead_attempts(
        self, tokens: Sequence[str]
    ) -> tuple[list[JobToPush], list[AttemptOutcome]]:
        """Count an attempt of each job whose parser died.

        Returns:
            The jobs to push again, and the requests that failed because it was their last.
        """
        async with self._database.transaction() as session:
            repository = EndingRepository(session)
            again, failed = await repository.record_dead_attempts(tokens, self._retries)
            await self._run_steps_and_notify(session, failed)
        metrics.count_retried_attempts(len(again))
        for change in failed:
            metrics.count_failed_request("attempts_exhausted", age=change.age)
        return again, failed

    async def expire(self, age: timedelta, *, limit: int) -> int:
        """Fail up to `limit` requests that have not ended within `age`; return how many."""
        message = f"The request did not end within {age.days} days."
        error = ErrorFacts(code="expired", message=message)

        async def lock(session: Session) -> list[int]:
            return await EndingRepository(session).lock_unfinished_older_than(age, limit=limit)

        return await self.fail_without_attempt(lock, error)

    async def fail_without_attempt(self, lock: RequestLock, error: ErrorFacts) -> int:
        """Fail the unfinished requests that `lock` has locked; return how many.

        A result that comes later changes nothing.
        """
        async with self._database.transaction() as session:
            repository = EndingRepository(session)
            if not (found := await lock(session)):
                return 0
            await repository.mark_processing_before_expiry(found)
            failed = await repository.mark_expired(found, error)
            await self._run_steps_and_notify(session, failed)
        for change in failed:
            metrics.count_request_failed_without_attempt(error.code, age=change.age)
        return len(failed)

    async def _record_alone(self, request_id: int, result: Result) -> None:
        try:
            await self._record({request_id: result})
        except _UNRECORDABLE_ERRORS as error:
            failure = _log_and_make_failure(result, f"not storable: {error!r}", request_id)
            await self._record({request_id: failure})

    async def _record(self, results: Mapping[int, Result]) -> None:
        # In the order of ids, so that two writers at once do not wait for each other.
        ordered = [(request_id, results[request_id]) for request_id in sorted(results)]
        async with self._database.transaction() as session:
            repository = EndingRepository(session)
            others = [i for i, result in ordered if _names_kind_other_than_page(result)]
            kinds = await repository.find_request_kinds_besides_page(others)
            successes, failed = self._split_by_outcome(ordered, kinds)
            changed: list[AttemptOutcome] = []
            for kind, pages in sorted(successes.items()):
                changed += await self._recorders[kind](session, pages)
            changed += await repository.mark_attempts_failed(failed, self._retries)
            ended = [change for change in changed if change.status.is_final]
            await self._run_steps_and_notify(session, ended)
        log.info("results recorded", results=len(results), ended=len(ended))
        metrics.count_persisted_batch(len(results))
        metrics.count_retried_attempts(len(changed) - len(ended))
        codes = {attempt.request_id: attempt.error.code for attempt in failed}
        for change in ended:
            if change.status == StatusEnum.SUCCESS:
                metrics.count_succeeded_request(age=change.age)
            else:
                metrics.count_failed_request(codes[change.request_id], age=change.age)

    def _split_by_outcome(
        self, results: Sequence[tuple[int, Result]], kinds: Mapping[int, str]
    ) -> tuple[Mapping[str, dict[int, SuccessResult]], list[FailedAttempt]]:
        """Separate successes, by kind, from failures; a kind without a recorder is a failure.

        Args:
            results: in the order of their ids.
            kinds: of the requests that are not pages.
        """
        successes: defaultdict[str, dict[int, SuccessResult]] = defaultdict(dict)
        failed = []
        for request_id, result in results:
            if isinstance(result, FailureResult):
                failed.append(self._failed_attempt(request_id, result))
            elif (kind := kinds.get(request_id, PAGE_KIND)) in self._recorders:
                successes[kind][request_id] = result
            else:
                failure = _log_and_make_failure(result, "its kind is unknown", request_id)
                failed.append(self._failed_attempt(request_id, failure))
        return successes, failed

    async def _run_steps_and_notify(
        self, session: Session, ended: Sequence[AttemptOutcome]
    ) -> None:
        """Count what was stored, have every step see the ended requests, wake their waiters."""
        if not ended:
            return
        await StoredBytesRepository(session).add_changes(
            (change.owner_id, change.stored_bytes) for change in ended
        )
        await run_steps(session, self._steps, ended)
        await EndingRepository(session).notify_ended([change.request_id for change in ended])

    def _failed_attempt(self, request_id: int, result: FailureResult) -> FailedAttempt:
        """Allow another attempt if the failure may pass and the site asks for no longer pause."""
        error = _error_facts(result)
        asked_for = (result.reason.retry_after if result.reason else None) or 0.0
        again = error.retryable and asked_for <= self._retries.max_delay
        return FailedAttempt(
            request_id=request_id,
            token=result.token,
            error=error,
            retry_after=asked_for if again else None,
        )


def _log_and_make_failure(result: Result, why: str, request_id: int) -> FailureResult:
    failure = log_and_make_unreadable_result(why, request_id=request_id)
    return failure.model_copy(update={"token": result.token})


def _names_kind_other_than_page(result: Result) -> bool:
    """Return whether the request's row has to be asked for its kind, which is the one that counts.

    The kind of a result only copies that of its job, and a foreign parser may mean something else
    by it. Without a token it is a foreign parser's page.
    """
    return isinstance(result, SuccessResult) and bool(result.token) and result.kind != PAGE_KIND


def _error_facts(result: FailureResult) -> ErrorFacts:
    if result.reason is None:
        return ErrorFacts(code="internal_error", message=result.error[:500])
    return ErrorFacts.model_validate(result.reason)
