"""The API's application: assembly only. Run as `uvicorn api_service.main:app`."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import NoReturn

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api_service import routes
from api_service.config import Settings
from api_service.dependencies import open_api_context
from api_service.edge.middleware import RequestContext
from api_service.endings.wakeups import EndingListener
from api_service.exceptions import ApiError, PageError, SchemaOutdatedError
from api_service.process import log
from api_service.responses import Problem

DRAIN_SECONDS = 0.3

DESCRIPTION = """
Give it a URL, get back the page's title, HTML and metadata: at once with `GET /parse_sync`,
or later with `POST /parse_async`, then `GET /status/{request_id}` and `GET /result/{request_id}`.

A request that was accepted with 202 is stored and ends as `success` or `failure`.
Errors are `application/problem+json` (RFC 9457) with a stable `code` and a sentence in `detail`.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Assemble the application; without settings, the environment is read when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                current = settings or Settings.load()
                log.configure("api", current.log_level)
                context = await stack.enter_async_context(open_api_context(current))
            except (SchemaOutdatedError, ApiError, SystemExit) as error:
                _end_process(str(error))
            app.state.context = context
            _drain_on_sigterm(app, context.notices)
            await stack.enter_async_context(_shown_alive(os.environ.get("ALIVE_FILE")))
            yield

    app = FastAPI(
        title="Page Parser",
        version="0.1.0",
        summary="Turns URLs into titles, HTML and metadata, now or later.",
        description=DESCRIPTION,
        lifespan=lifespan,
    )
    app.state.is_draining = False
    app.include_router(routes.router)
    app.add_middleware(RequestContext)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    return app


@asynccontextmanager
async def _shown_alive(path: str | None) -> AsyncIterator[None]:
    """Touch a file every second, for who started this process, as long as the event loop turns."""

    async def keep_touching(file: Path) -> None:
        while True:
            file.touch()  # noqa: ASYNC240 - a file in memory, in a blink
            await asyncio.sleep(1)

    touching = asyncio.create_task(keep_touching(Path(path))) if path else None
    yield
    if touching:
        touching.cancel()


def _end_process(sentence: str) -> NoReturn:
    """End before anything was served: an exception would reach the log as a long traceback."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
    os._exit(1)


def _drain_on_sigterm(app: FastAPI, notices: EndingListener) -> None:
    """Before the server stops, end long polls and ask clients to close their connections.

    The server would wait for the first, and cut off the second between two requests. No more
    connections are taken: one that comes now waits for the next process, if that gets the
    same socket, and would be cut off if it were taken a moment before the end.
    """
    loop = asyncio.get_running_loop()
    server_handler = signal.getsignal(signal.SIGTERM)
    server = getattr(server_handler, "__self__", None)  # it is a method of uvicorn's server

    def drain(number: int) -> None:
        app.state.is_draining = True
        for listening in getattr(server, "servers", ()):
            listening.close()
        notices.end_waits()
        if callable(server_handler):
            loop.call_later(DRAIN_SECONDS, server_handler, number, None)

    def on_sigterm(number: int, _: FrameType | None) -> None:
        loop.call_soon_threadsafe(drain, number)

    if callable(server_handler):
        signal.signal(signal.SIGTERM, on_sigterm)


async def _on_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    problem = _problem(error.http_status, error.message, error.code)
    if isinstance(error, PageError):
        problem.retryable, problem.page_status = error.retryable, error.page_status
    return _render(problem, headers)


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # The input is not echoed: it may be long, and it may not even be valid Unicode.
    first = error.errors()[0]
    if sentence := _SENTENCES.get(first["type"]):
        return _render(_problem(HTTPStatus.UNPROCESSABLE_ENTITY, sentence, "invalid_request"))
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    message = first["msg"].removeprefix("Value error, ")
    detail = f"{where}: {message}" if where else message
    return _render(_problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail[:300], "invalid_request"))


# Where pydantic's own words say nothing to a client.
_SENTENCES = {
    "json_invalid": "The body is not JSON.",
    "model_attributes_type": (
        "Send a JSON object with Content-Type: application/json, such as "
        '{"url": "https://example.com/"}.'
    ),
}


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    detail = str(error.detail).removesuffix(".") + "."
    return _render(_problem(status, detail, code), dict(error.headers or {}))


def _problem(status: HTTPStatus, detail: str, code: str) -> Problem:
    return Problem(title=status.phrase, status=status, detail=detail, code=code)


def _render(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    return Response(
        problem.model_dump_json(exclude_none=True),
        status_code=problem.status,
        headers=headers,
        media_type="application/problem+json",
    )


app = create_app()
