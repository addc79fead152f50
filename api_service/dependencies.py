"""Wiring: what the process's settings make of the classes, for HTTP handlers."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from api_service.celery_app import celery_app
from api_service.config import Settings
from api_service.database import Database
from api_service.endings.wakeups import EndingListener
from api_service.idempotency.service import ScopedKey
from api_service.operation.gauges import Gauges
from api_service.operation.readiness import ReadinessCheck
from api_service.parser_client.http import ParserHttp
from api_service.parser_client.queues import build_parser_queues
from api_service.process.redis_connection import open_redis
from api_service.queueing.admission import Admission
from api_service.queueing.enqueue import Publisher
from api_service.service import ParseRequestService

REDIS_SECONDS = 3
"""Seconds for one Redis command."""


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What HTTP handlers use; one for each application."""

    service: ParseRequestService
    readiness: ReadinessCheck
    gauges: Gauges
    notices: EndingListener


@contextlib.asynccontextmanager
async def open_api_context(settings: Settings) -> AsyncIterator[ApiContext]:
    """Connect lazily to everything the API uses; refuse to start on an outdated schema."""
    async with contextlib.AsyncExitStack() as stack:
        database = Database(settings.database_url, timeout=settings.database_timeout)
        stack.push_async_callback(database.dispose)
        await database.require_newest_migration()
        redis = await stack.enter_async_context(
            open_redis(settings.redis_url, timeout=REDIS_SECONDS)
        )
        parser = ParserHttp(settings.parser_url, timeout=settings.parser_timeout)
        stack.push_async_callback(parser.close)
        publisher = Publisher(celery_app, timeout=settings.publish_timeout)
        stack.push_async_callback(publisher.close)
        notices = EndingListener(settings.database_url)
        notices.open()
        stack.push_async_callback(notices.close)
        admission = Admission(database, max_depth=settings.max_queue_depth)
        await admission.count()
        service = ParseRequestService(
            database=database,
            publisher=publisher,
            notices=notices,
            parser=parser,
            admission=admission,
            timeout=settings.database_timeout,
        )
        census = build_parser_queues(redis, settings).census
        readiness = ReadinessCheck(database=database, census=census)
        gauges = Gauges(
            database=database, census=census, redis=redis, limit=settings.max_queue_depth
        )
        yield ApiContext(service=service, readiness=readiness, gauges=gauges, notices=notices)


async def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context


async def _service(context: Annotated[ApiContext, Depends(_context)]) -> ParseRequestService:
    return context.service


async def _readiness(context: Annotated[ApiContext, Depends(_context)]) -> ReadinessCheck:
    return context.readiness


async def _gauges(context: Annotated[ApiContext, Depends(_context)]) -> Gauges:
    return context.gauges


async def _trace_id(request: Request) -> str | None:
    trace_id: str | None = request.scope.get("trace_id")
    return trace_id


async def _scoped_key(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description=(
                "Any text of the client's own. A request that is sent again with the same key "
                "within 24 hours gets the first answer again, and there is one job. Keys are each "
                "caller's own: told by `Authorization`, or else by the address."
            ),
        ),
    ] = None,
) -> ScopedKey | None:
    """The key, of whom the credentials tell, or else the address."""
    if idempotency_key is None:
        return None
    host = request.client.host if request.client else ""
    caller = request.headers.get("authorization") or f"host {host}"
    return ScopedKey(hashlib.sha256(caller.encode()).hexdigest(), idempotency_key)


Service = Annotated[ParseRequestService, Depends(_service)]
ReadyCheck = Annotated[ReadinessCheck, Depends(_readiness)]
ScrapeGauges = Annotated[Gauges, Depends(_gauges)]
OptionalKey = Annotated[ScopedKey | None, Depends(_scoped_key)]
TraceId = Annotated[str | None, Depends(_trace_id)]
