"""The use cases of clients. Each owns its transaction; the repository works within it."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import TypeVar

import structlog

from api_service.caller import Caller
from api_service.database import Database
from api_service.edge.answer_memory import AnswerMemory, HeldAnswer
from api_service.endings.wakeups import STATUS_RECHECK_SECONDS, EndingListener
from api_service.exceptions import DatabaseUnavailableError, NotFoundError
from api_service.idempotency.service import KeyedAcceptance, ScopedKey
from api_service.owners.use import CallerUse
from api_service.page.foreign import read_error, read_facts
from api_service.parser_client.http import ParserHttp
from api_service.parser_client.messages import PAGE_KIND
from api_service.process.deadline import AbandoningTimeout
from api_service.queueing.admission import Admission
from api_service.queueing.batching import Batcher
from api_service.queueing.enqueue import Publisher
from api_service.repository import (
    IdAndOwner,
    NewRequest,
    ParseRequestRepository,
    StoredResult,
)
from api_service.requests import ClientOptions
from api_service.responses import AcceptedAnswer, ResultAnswer, StatusAnswer
from api_service.status_enum import StatusEnum

T = TypeVar("T")

MAX_REQUESTS_PER_STATEMENT = 200
"""Requests stored, or statuses read, in one statement."""

log = structlog.get_logger()


class ParseRequestService:
    """Accepts requests and answers questions about them.

    Args:
        timeout: seconds that a client waits for the database at most.
    """

    def __init__(
        self,
        *,
        database: Database,
        publisher: Publisher,
        ending_listener: EndingListener,
        parser: ParserHttp,
        admission: Admission,
        caller_use: CallerUse,
        answers: AnswerMemory,
        timeout: float,
    ) -> None:
        self._database = database
        self._admission = admission
        self._caller_use = caller_use
        self._answers = answers
        self._publisher = publisher
        self._ending_listener = ending_listener
        self._parser = parser
        self._timeout = AbandoningTimeout(timeout)
        self._intake = Batcher(
            self._store_and_commit, limit=MAX_REQUESTS_PER_STATEMENT, timeout=timeout
        )
        self._statuses = Batcher(
            self._find_statuses, limit=MAX_REQUESTS_PER_STATEMENT, timeout=timeout
        )

    async def parse_now(
        self, caller: Caller, url: str, *, options: ClientOptions, trace_id: str | None
    ) -> HeldAnswer:
        """Fetch and parse a page; store nothing. Returns a `ParseSyncAnswer` in JSON.

        Nothing of the page belongs to the caller: no other can ask for it.

        Raises:
            PageError, InvalidUrlError, ParserUnavailableError, AnswerMemoryFullError: see
                `ParserHttp.fetch`.
        """
        del caller
        return await self._parser.fetch(
            url, trace_id, options.enabled_options(), memory=self._answers
        )

    async def submit(
        self,
        caller: Caller,
        url: str,
        *,
        options: ClientOptions,
        trace_id: str | None,
        key: ScopedKey | None = None,
        kind: str = PAGE_KIND,
    ) -> AcceptedAnswer:
        """Accept a request, of any kind of job: its row is committed when this returns.

        The task is published after the commit. If that fails the request is still accepted: the
        sweep finds its row.

        Raises:
            RateLimitedError: the caller has reached a limit of its own.
            QueueFullError: too many requests are unfinished.
            IdempotencyConflictError, IdempotencyMismatchError: the key is in use, or was used
                for another request.
        """
        request = NewRequest(url, trace_id, options.enabled_options(), caller.owner_id, kind)
        await self._caller_use.count_if_due(caller)
        if key is None:
            with self._caller_use.reserve_place(caller), self._admission.reserve_place():
                request_id = await _timeout_as_unavailable(self._intake.submit(request))
            is_new = True
        else:
            request_id, is_new = await _timeout_as_unavailable(
                self._timeout.run(self._add_keyed(caller, request, key))
            )
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if is_new:
            await self._publisher.publish_request(request_id, url, trace_id)
        return AcceptedAnswer(request_id=request_id, status=StatusEnum.PENDING)

    async def _store_and_commit(self, requests: Sequence[NewRequest]) -> Sequence[int]:
        async with self._database.transaction() as session:
            return await ParseRequestRepository(session).add_all(requests)

    async def _add_keyed(
        self, caller: Caller, request: NewRequest, key: ScopedKey
    ) -> tuple[int, bool]:
        """Store a request unless it was accepted before; return its id, and whether it is new."""
        # The place is reserved within the transaction, and given up after its end.
        with ExitStack() as place:
            async with self._database.transaction() as session:
                keyed = KeyedAcceptance(
                    session, key, url=request.url, options=request.stored_options
                )
                if (known := await keyed.lock_key_and_find_accepted()) is not None:
                    return known, False
                place.enter_context(self._caller_use.reserve_place(caller))
                place.enter_context(self._admission.reserve_place())
                [request_id] = await ParseRequestRepository(session).add_all([request])
                await keyed.store_key(request_id)
        return request_id, True

    async def read_status(
        self, caller: Caller, request_id: int, *, wait: float = 0
    ) -> StatusAnswer:
        """Return a request's status now, or as soon as it ends, after `wait` seconds at most.

        Raises:
            NotFoundError: the caller has no such request.
        """
        key = IdAndOwner(request_id, caller.owner_id)
        if not wait:
            return await self._read_status_once(key)
        deadline = monotonic() + wait
        with self._ending_listener.subscription(request_id) as ended:
            while True:
                answer = await self._read_status_once(key)
                left = deadline - monotonic()
                if answer.status.is_final or left <= 0 or self._ending_listener.is_closing:
                    return answer
                try:
                    async with asyncio.timeout(min(left, STATUS_RECHECK_SECONDS)):
                        await ended.wait()
                except TimeoutError:
                    pass
                ended.clear()

    async def _read_status_once(self, key: IdAndOwner) -> StatusAnswer:
        answer = await _timeout_as_unavailable(self._statuses.submit(key))
        if answer is None:
            raise NotFoundError
        return answer

    async def _find_statuses(self, keys: Sequence[IdAndOwner]) -> Sequence[StatusAnswer | None]:
        """Read statuses for callers of any kind: each sees only what its own key finds."""
        async with self._database.read_session() as session:
            rows = await ParseRequestRepository(session).find_statuses(keys)
        found = {
            IdAndOwner(row.request_id, row.owner_id): StatusAnswer.model_validate(row)
            for row in rows
        }
        return [found.get(key) for key in keys]

    async def read_result(self, caller: Caller, request_id: int, *, wait: float = 0) -> HeldAnswer:
        """Return a request's result now, or as soon as it ends, after `wait` seconds at most.

        Returns:
            A `ResultAnswer` in JSON.

        Raises:
            NotFoundError: the caller has no such request.
            AnswerMemoryFullError: too many large answers are being read.
        """
        if wait:
            await self.read_status(caller, request_id, wait=wait)
        key = IdAndOwner(request_id, caller.owner_id)
        row = await _timeout_as_unavailable(self._timeout.run(self._read_result_or_raise(key)))
        if row.html is not None or not row.html_bytes:
            return await self._answers.wait_and_hold(_result_in_json(row, row.html))

        async def with_whole_page() -> bytes:
            html = await _timeout_as_unavailable(self._timeout.run(self._read_html_or_raise(key)))
            return _result_in_json(row, html)

        return await self._answers.wait_and_make(
            row.html_bytes, with_whole_page, one_at_a_time=True
        )

    async def _read_result_or_raise(self, key: IdAndOwner) -> StoredResult:
        async with self._database.read_session() as session:
            row = await ParseRequestRepository(session).find_result(key)
        if row is None:
            raise NotFoundError
        return row

    async def _read_html_or_raise(self, key: IdAndOwner) -> str:
        async with self._database.read_session() as session:
            html = await ParseRequestRepository(session).find_html(key)
        if html is None:  # deleted since the other columns were read
            raise NotFoundError
        return html


def _result_in_json(row: StoredResult, html: str | None) -> bytes:
    """Write a `ResultAnswer` without the copies that `model_dump_json` makes of the page."""
    answer = ResultAnswer(
        request_id=row.request_id,
        status=row.status,
        title=row.title,
        html=html,
        error=read_error(row.error),
        **dict(read_facts(row.facts)),
    )
    return answer.__pydantic_serializer__.to_json(answer)


async def _timeout_as_unavailable(outcome: Awaitable[T]) -> T:
    """Return what the database answered.

    Raises:
        DatabaseUnavailableError: it did not answer in time.
    """
    try:
        return await outcome
    except TimeoutError as error:
        raise DatabaseUnavailableError from error
