"""What clients can do. Each use case owns its transaction; the repository works within it."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter

from api_service.database import Database
from api_service.endings.wakeups import RECHECK_SECONDS, EndingListener
from api_service.exceptions import DatabaseUnavailableError, NotFoundError
from api_service.idempotency.service import KeyedRequest, ScopedKey
from api_service.parser_client.http import ParserHttp
from api_service.process.deadline import Deadline
from api_service.queueing.admission import Admission
from api_service.queueing.batching import Batcher
from api_service.queueing.enqueue import Publisher
from api_service.repository import NewRequest, ParseRequestRepository
from api_service.responses import (
    AcceptedAnswer,
    ErrorFacts,
    Metadata,
    Redirect,
    ResultAnswer,
    StatusAnswer,
)
from api_service.status_enum import StatusEnum

T = TypeVar("T")

BATCH = 200

log = structlog.get_logger()


class ParseRequestService:
    """Accepts requests and tells about them.

    Args:
        timeout: seconds that a client waits for the database at most.
    """

    def __init__(
        self,
        *,
        database: Database,
        publisher: Publisher,
        notices: EndingListener,
        parser: ParserHttp,
        admission: Admission,
        timeout: float,
    ) -> None:
        self._database = database
        self._admission = admission
        self._publisher = publisher
        self._notices = notices
        self._parser = parser
        self._deadline = Deadline(timeout)
        self._intake = Batcher(self._add, most=BATCH, timeout=timeout)
        self._statuses = Batcher(self._find_statuses, most=BATCH, timeout=timeout)

    async def parse_now(
        self, url: str, *, options: Mapping[str, bool], trace_id: str | None
    ) -> bytes:
        """Have a page fetched and parsed; nothing is stored. A `ParseSyncAnswer` in JSON.

        Raises:
            PageError, InvalidUrlError, ParserUnavailableError: see `ParserHttp.fetch`.
        """
        return await self._parser.fetch(url, trace_id, options)

    async def submit(
        self,
        url: str,
        *,
        options: Mapping[str, bool],
        trace_id: str | None,
        key: ScopedKey | None = None,
    ) -> AcceptedAnswer:
        """Accept a request: its row is committed when this returns.

        The task is published after the commit. Where that fails the request is accepted all
        the same: the sweep finds its row.

        Raises:
            QueueFullError: too many requests wait.
            IdempotencyConflictError, IdempotencyMismatchError: the key is in use, or was used
                for something else.
        """
        request = NewRequest(url, trace_id, dict(options))
        if key is None:
            with self._admission.room():
                request_id, is_new = await _timeout_as_unavailable(self._intake.ask(request)), True
        else:
            request_id, is_new = await _timeout_as_unavailable(
                self._deadline.run(self._add_keyed(request, key))
            )
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if is_new:
            await self._publisher.parse_url(request_id, url, trace_id)
        return AcceptedAnswer(request_id=request_id, status=StatusEnum.PENDING)

    async def _add(self, requests: Sequence[NewRequest]) -> Sequence[int]:
        async with self._database.transaction() as session:
            return await ParseRequestRepository(session).add_all(requests)

    async def _add_keyed(self, request: NewRequest, key: ScopedKey) -> tuple[int, bool]:
        """Store a request unless it was accepted before; its id, and whether it is new."""
        # The room is taken within the transaction, and left after its end.
        with ExitStack() as room:
            async with self._database.transaction() as session:
                keyed = KeyedRequest(session, key, url=request.url, options=request.options)
                if (known := await keyed.accepted_before()) is not None:
                    return known, False
                room.enter_context(self._admission.room())
                [request_id] = await ParseRequestRepository(session).add_all([request])
                await keyed.keep(request_id)
        return request_id, True

    async def status(self, request_id: int, *, wait: float = 0) -> StatusAnswer:
        """Where a request stands, now or when it has ended, at most `wait` seconds from now.

        Raises:
            NotFoundError: there is no such request.
        """
        if not wait:
            return await self._status(request_id)
        deadline = monotonic() + wait
        with self._notices.subscription(request_id) as ended:
            while True:
                answer = await self._status(request_id)
                left = deadline - monotonic()
                if answer.status.is_final or left <= 0 or self._notices.is_closing:
                    return answer
                try:
                    async with asyncio.timeout(min(left, RECHECK_SECONDS)):
                        await ended.wait()
                except TimeoutError:
                    pass
                ended.clear()

    async def _status(self, request_id: int) -> StatusAnswer:
        answer = await _timeout_as_unavailable(self._statuses.ask(request_id))
        if answer is None:
            raise NotFoundError
        return answer

    async def _find_statuses(self, request_ids: Sequence[int]) -> Sequence[StatusAnswer | None]:
        async with self._database.reading() as session:
            rows = await ParseRequestRepository(session).find_statuses(request_ids)
        found = {row.request_id: StatusAnswer.model_validate(row) for row in rows}
        return [found.get(request_id) for request_id in request_ids]

    async def result(self, request_id: int, *, wait: float = 0) -> ResultAnswer:
        """What became of a request, now or when it has ended, at most `wait` seconds from now.

        Raises:
            NotFoundError: there is no such request.
        """
        if wait:
            await self.status(request_id, wait=wait)
        row = await _timeout_as_unavailable(self._deadline.run(self._find_result(request_id)))
        if row is None:
            raise NotFoundError
        return _result_answer(row)

    async def _find_result(self, request_id: int) -> dict[str, Any] | None:
        async with self._database.reading() as session:
            return await ParseRequestRepository(session).find_result(request_id)


async def _timeout_as_unavailable(outcome: Awaitable[T]) -> T:
    """Return what the database answered.

    Raises:
        DatabaseUnavailableError: it did not come in time.
    """
    try:
        return await outcome
    except TimeoutError as error:
        raise DatabaseUnavailableError from error


def _result_answer(row: dict[str, Any]) -> ResultAnswer:
    read = {name: model.validate_json(row[name]) for name, model in _IN_JSON.items() if row[name]}
    return ResultAnswer(**row | read)


_IN_JSON: dict[str, TypeAdapter[Any]] = {
    "metadata": TypeAdapter(Metadata),
    "error": TypeAdapter(ErrorFacts),
    "redirects": TypeAdapter(list[Redirect]),
}
