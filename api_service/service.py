"""The use cases. Each owns its transaction; the repository works within it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from time import monotonic
from typing import assert_never

import structlog

from api_service.database import Database
from api_service.enqueue import Publisher
from api_service.exceptions import NotFoundError
from api_service.models import ParseRequest
from api_service.notices import RECHECK_SECONDS, EndedNotices
from api_service.parser_client import (
    FailureResult,
    Job,
    PageResult,
    ParserHttp,
    ParserQueue,
    Result,
)
from api_service.repository import ParseRequestRepository
from api_service.responses import (
    AcceptedAnswer,
    ErrorFacts,
    PageFacts,
    ParseSyncAnswer,
    ResultAnswer,
    StatusAnswer,
)
from api_service.status_enum import StatusEnum

CLEANUP_BATCH = 1000

log = structlog.get_logger()


class ParseRequestService:
    """What clients can do."""

    def __init__(
        self,
        *,
        database: Database,
        publisher: Publisher,
        notices: EndedNotices,
        parser: ParserHttp,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._notices = notices
        self._parser = parser

    async def parse_now(self, url: str, *, trace_id: str | None) -> ParseSyncAnswer:
        """Have a page fetched and parsed; nothing is stored.

        Raises:
            PageError, InvalidUrlError, ParserUnavailableError: see `ParserHttp.fetch`.
        """
        page = await self._parser.fetch(url, trace_id)
        return ParseSyncAnswer.model_validate(page)

    async def submit(self, url: str, *, trace_id: str | None) -> AcceptedAnswer:
        """Accept a request: its row is committed when this returns.

        The task is published after the commit. Where that fails the request is accepted all
        the same: the sweep finds its row.
        """
        async with self._database.transaction() as session:
            request_id = await ParseRequestRepository(session).add(url, trace_id=trace_id)
        log.info("request accepted", request_id=request_id)
        await self._publisher.parse_url(request_id, url, trace_id)
        return AcceptedAnswer(request_id=request_id, status=StatusEnum.PENDING)

    async def status(self, request_id: int, *, wait: float = 0) -> StatusAnswer:
        """Where a request stands, now or when it has ended, at most `wait` seconds from now.

        Raises:
            NotFoundError: there is no such request.
        """

        async def read() -> StatusAnswer:
            async with self._database.transaction() as session:
                row = await ParseRequestRepository(session).find_status(request_id)
            if row is None:
                raise NotFoundError
            return StatusAnswer.model_validate(row)

        return await self._until_ended(request_id, read, wait)

    async def result(self, request_id: int, *, wait: float = 0) -> ResultAnswer:
        """What became of a request, now or when it has ended, at most `wait` seconds from now.

        Raises:
            NotFoundError: there is no such request.
        """
        if wait:
            await self.status(request_id, wait=wait)
        async with self._database.transaction() as session:
            row = await ParseRequestRepository(session).find(request_id)
        if row is None:
            raise NotFoundError
        return _result_answer(row)

    async def _until_ended(
        self, request_id: int, read: Callable[[], Awaitable[StatusAnswer]], wait: float
    ) -> StatusAnswer:
        deadline = monotonic() + wait
        with self._notices.subscription(request_id) as ended:
            while True:
                answer = await read()
                left = deadline - monotonic()
                if answer.status.is_final or left <= 0 or self._notices.is_closing:
                    return answer
                try:
                    async with asyncio.timeout(min(left, RECHECK_SECONDS)):
                        await ended.wait()
                except TimeoutError:
                    pass
                ended.clear()


class JobService:
    """What the worker does with requests."""

    def __init__(
        self, *, database: Database, queue: ParserQueue, retention: timedelta | None = None
    ) -> None:
        self._database = database
        self._queue = queue
        self._retention = retention

    async def start(self, request_id: int) -> None:
        """Hand a pending request to the parsers; one that is elsewhere by now is left alone."""
        token = f"{request_id}-{secrets.token_hex(8)}"
        async with self._database.transaction() as session:
            started = await ParseRequestRepository(session).mark_processing(request_id, token=token)
        if started is None:
            log.info("not started: not pending", request_id=request_id)
            return
        job = Job(
            id=started.request_id,
            url=started.url,
            token=token,
            reply=self._queue.reply_list,
            trace=started.trace_id,
        )
        await self._queue.push([job])
        log.info("job pushed", request_id=request_id, trace_id=started.trace_id)

    async def record(self, results: Mapping[int, Result]) -> None:
        """Persist finished results in one transaction; doubled and late ones change nothing."""
        async with self._database.transaction() as session:
            repository = ParseRequestRepository(session)
            ended = []
            for request_id, result in sorted(results.items()):
                if await _mark_ended(repository, request_id, result):
                    ended.append(request_id)
            await repository.notify_ended(ended)
        log.info("results recorded", ended=len(ended), ignored=len(results) - len(ended))

    async def processing_ids(self, *, after: int, limit: int) -> list[int]:
        """The next requests that wait for a result, by id."""
        async with self._database.transaction() as session:
            ids = await ParseRequestRepository(session).processing_ids(after=after, limit=limit)
        return list(ids)

    async def clean_up(self) -> int:
        """Delete requests older than the retention, in small batches; returns how many."""
        assert self._retention is not None  # noqa: S101 - wired in one place
        deleted = 0
        while True:
            async with self._database.transaction() as session:
                batch = await ParseRequestRepository(session).delete_older_than(
                    self._retention, limit=CLEANUP_BATCH
                )
            deleted += batch
            if batch < CLEANUP_BATCH:
                log.info("old requests deleted", deleted=deleted)
                return deleted


async def _mark_ended(repository: ParseRequestRepository, request_id: int, result: Result) -> bool:
    match result:
        case PageResult():
            return await repository.mark_success(
                request_id,
                token=result.token,
                title=result.title,
                html=result.html,
                facts=PageFacts.model_validate(result),
            )
        case FailureResult():
            return await repository.mark_failure(
                request_id, token=result.token, error=_error_facts(result)
            )
        case _:
            assert_never(result)


def _error_facts(result: FailureResult) -> ErrorFacts:
    if result.reason is None:
        return ErrorFacts(code="internal_error", message=result.error[:500])
    return ErrorFacts.model_validate(result.reason)


def _result_answer(row: ParseRequest) -> ResultAnswer:
    return ResultAnswer(
        request_id=row.id,
        status=row.status,
        title=row.title,
        html=row.html_content,
        error=None if row.error is None else ErrorFacts.model_validate(row.error),
        final_url=row.final_url,
        http_status=row.http_status,
        content_type=row.content_type,
        fetched_at=row.fetched_at,
    )
