"""What clients can do. Each use case owns its transaction; the repository works within it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

import structlog

from api_service.admission import Admission
from api_service.database import Database
from api_service.enqueue import Publisher
from api_service.exceptions import NotFoundError
from api_service.idempotency.service import CallersKey, KeyedRequest
from api_service.models import ParseRequest
from api_service.notices import RECHECK_SECONDS, EndedNotices
from api_service.parser_client.http import ParserHttp
from api_service.repository import ParseRequestRepository
from api_service.responses import (
    AcceptedAnswer,
    ErrorFacts,
    Metadata,
    ParseSyncAnswer,
    Redirect,
    ResultAnswer,
    StatusAnswer,
)
from api_service.status_enum import StatusEnum

log = structlog.get_logger()


class ParseRequestService:
    """Accepts requests and tells about them."""

    def __init__(
        self,
        *,
        database: Database,
        publisher: Publisher,
        notices: EndedNotices,
        parser: ParserHttp,
        admission: Admission,
    ) -> None:
        self._database = database
        self._admission = admission
        self._publisher = publisher
        self._notices = notices
        self._parser = parser

    async def parse_now(
        self, url: str, *, options: Mapping[str, bool], trace_id: str | None
    ) -> ParseSyncAnswer:
        """Have a page fetched and parsed; nothing is stored.

        Raises:
            PageError, InvalidUrlError, ParserUnavailableError: see `ParserHttp.fetch`.
        """
        page = await self._parser.fetch(url, trace_id, options)
        return ParseSyncAnswer.model_validate(page)

    async def submit(
        self,
        url: str,
        *,
        options: Mapping[str, bool],
        trace_id: str | None,
        key: CallersKey | None = None,
    ) -> AcceptedAnswer:
        """Accept a request: its row is committed when this returns.

        The task is published after the commit. Where that fails the request is accepted all
        the same: the sweep finds its row.

        Raises:
            QueueFullError: too many requests wait.
            IdempotencyConflictError, IdempotencyMismatchError: the key is in use, or was used
                for something else.
        """
        async with self._database.transaction() as session:
            keyed = key and KeyedRequest(session, key, url=url, options=options)
            if keyed and (known := await keyed.accepted_before()) is not None:
                return AcceptedAnswer(request_id=known, status=StatusEnum.PENDING)
            self._admission.admit()
            request_id = await ParseRequestRepository(session).add(
                url, trace_id=trace_id, options=dict(options)
            )
            if keyed:
                await keyed.keep(request_id)
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


def _result_answer(row: ParseRequest) -> ResultAnswer:
    return ResultAnswer(
        request_id=row.id,
        status=row.status,
        title=row.title,
        title_source=row.title_source,
        html=row.html_content,
        metadata=None if row.metadata_ is None else Metadata.model_validate(row.metadata_),
        error=None if row.error is None else ErrorFacts.model_validate(row.error),
        final_url=row.final_url,
        redirects=None if row.redirects is None else [*map(Redirect.model_validate, row.redirects)],
        http_status=row.http_status,
        content_type=row.content_type,
        charset=row.charset,
        bytes=row.bytes,
        elapsed_ms=row.elapsed_ms,
        fetched_at=row.fetched_at,
    )
