"""Serve the parser over HTTP: to the API next to it, never to the public network."""

from collections.abc import AsyncIterator
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic.json_schema import SkipJsonSchema

from parser_service import metrics
from parser_service.dependencies import RouteContext
from parser_service.fetching.host_access import SyncPageAccess
from parser_service.fetching.url_guard import parse_url
from parser_service.page import PageOptions, json_pieces
from parser_service.pipeline import PagePipeline
from parser_service.problems import problem_declaration
from parser_service.requests import FetchQuery
from parser_service.responses import FetchAnswer, Health

router = APIRouter()

PARSE_SYNC_MEDIA_TYPE = "application/vnd.page-parser.answer+json"
"""Tells an API that accepts it that it can pass the body on unchanged."""


async def page_pipeline(request: Request) -> PagePipeline:
    """Return the process's one pipeline."""
    return _context(request).pipeline


async def host_access(request: Request) -> SyncPageAccess:
    """Make this request's access to hosts: within their limits, and bounded in number."""
    context = _context(request)
    return SyncPageAccess(context.host_limits, context.places, patience=context.queue_timeout)


def _context(request: Request) -> RouteContext:
    context: RouteContext = request.app.state.context
    return context


@router.get(
    "/fetch",
    response_model=FetchAnswer,
    summary="Fetch and parse a page",
    response_description="The page.",
    tags=["Pages"],
    responses={
        422: problem_declaration("The URL cannot be fetched; see `code` and `detail`."),
        502: problem_declaration("The page could not be fetched; see `code` and `detail`."),
        503: problem_declaration(
            "The page could not be begun in time; `code` is `busy`.", retry_after=True
        ),
    },
)
async def fetch(
    query: Annotated[FetchQuery, Query()],
    pipeline: Annotated[PagePipeline, Depends(page_pipeline)],
    access: Annotated[SyncPageAccess, Depends(host_access)],
    x_request_id: Annotated[
        str | SkipJsonSchema[None],
        Header(alias="X-Request-ID", max_length=64, description="Names this request in every log."),
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Fetch a page now and answer with its title, HTML and metadata."""
    target = parse_url(query.url)
    with structlog.contextvars.bound_contextvars(trace_id=x_request_id):
        async with access:
            page = await pipeline.run(target, access=access, options=PageOptions.of(query))
    answer = FetchAnswer(url=target.url, **dict(page))
    # Rendered here: FastAPI would validate and copy the longest part a second time. In pieces, so
    # that a long one is not sent in one turn of the event loop either.
    media_type = PARSE_SYNC_MEDIA_TYPE if PARSE_SYNC_MEDIA_TYPE in accept else "application/json"
    pieces = await json_pieces(answer)
    if len(pieces) == 1:
        return Response(pieces[0], media_type=media_type)
    length = {"Content-Length": str(sum(map(len, pieces)))}
    return StreamingResponse(_each(pieces), headers=length, media_type=media_type)


async def _each(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@router.get(
    "/health",
    summary="Whether this process lives",
    response_description="It lives.",
    tags=["Operation"],
)
async def get_health() -> Health:
    """Answer as long as the event loop turns."""
    return Health()


@router.get("/metrics", include_in_schema=False)
async def show_metrics() -> Response:
    """Show metrics to Prometheus; see `docs/monitoring.md`."""
    return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)
