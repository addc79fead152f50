"""The parser's HTTP application: assembly only. Run as `uvicorn parser_service.main:app`."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from parser_service import log, routes
from parser_service.config import Settings
from parser_service.dependencies import host_limits, open_redis
from parser_service.exceptions import FetchError
from parser_service.pipeline import open_pipeline
from parser_service.responses import Problem


def create_app(settings: Settings | None = None) -> FastAPI:
    """Assemble the application; without settings, the environment is read when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            current = settings or Settings.load()
        except SystemExit as error:
            # Through the server, an exception would reach the log as a long traceback.
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
            os._exit(1)
        log.configure("parser", current.log_level)
        async with (
            open_pipeline(current) as pipeline,
            open_redis(current) as redis,
            _shown_alive(os.environ.get("HTTP_ALIVE_FILE")),
        ):
            app.state.page_pipeline = pipeline
            app.state.host_limits = host_limits(redis, current)
            app.state.room = asyncio.Semaphore(current.fetch_concurrency)
            yield

    app = FastAPI(
        title="Page Parser: parser service",
        version="0.1.0",
        summary="Turns a URL into facts. Internal: it is called by the API service.",
        lifespan=lifespan,
    )
    app.include_router(routes.router)
    app.add_exception_handler(FetchError, _on_fetch_error)
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


async def _on_fetch_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, FetchError)  # noqa: S101 - registered for this class
    return _render(
        error.http_status,
        error.message,
        error.code,
        retryable=error.retryable,
        page_status=error.page_status,
    )


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # The input is not echoed: it may be long, and it may not even be valid Unicode.
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:2])
    detail = f"{where}: {first['msg']}"[:300]
    return _render(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "invalid_request")


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    response = _render(status, f"{status.phrase}.", code)
    response.headers.update(error.headers or {})
    return response


def _render(
    status: HTTPStatus,
    detail: str,
    code: str,
    *,
    retryable: bool | None = None,
    page_status: int | None = None,
) -> Response:
    body = Problem(
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        retryable=retryable,
        page_status=page_status,
    )
    return Response(
        body.model_dump_json(exclude_none=True),
        status_code=status,
        media_type="application/problem+json",
    )


app = create_app()
