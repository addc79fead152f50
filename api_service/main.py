"""Assemble the API's application, and nothing else. Run as `uvicorn api_service.main:app`."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NoReturn

import structlog
from fastapi import FastAPI

from api_service import routes
from api_service.assembly.api import open_api
from api_service.assembly.door import build_call_rules
from api_service.capabilities import CAPABILITIES, exit_on_wrong_names
from api_service.config import Settings
from api_service.edge.anonymous import AnonymousAccess
from api_service.edge.connection_limits import LIMITS_STATE_KEY, ConnectionLimits
from api_service.edge.door import DoorMiddleware
from api_service.edge.draining import Draining
from api_service.edge.openapi import DescribedApi
from api_service.edge.problems import render_errors_as_problems
from api_service.edge.request_context import RequestMiddleware
from api_service.exceptions import ApiError, CannotStartError
from api_service.process.alive import touch_while_alive
from api_service.process.log import configure

DESCRIPTION = """
Give it a URL, get back the page's title, HTML and metadata: at once with `GET /parse_sync`,
or later with `POST /parse_async`, then `GET /status/{request_id}` and `GET /result/{request_id}`.

A request that was accepted with 202 is stored and ends as `success` or `failure`.
Errors are `application/problem+json` (RFC 9457) with a stable `code` and a sentence in `detail`.
Every answer has an `X-Request-ID`. `HEAD` works wherever `GET` does.

Callers with an account send a session's token or an API key as `Authorization: Bearer …`, or the
cookie of a browser's session. Whether others are admitted is the operator's choice. Nobody sees
what belongs to another caller: it is answered like what never was. `RateLimit-Policy` and
`RateLimit` tell a user how many requests are left in this minute.

Besides the errors of the routes below, `no_such_path` (404) and `method_not_allowed` (405) answer
other paths and methods, and `bad_request` (400), `request_timeout` (408) and `header_too_large`
(431) answer what is not HTTP or arrives too slowly.
"""

log = structlog.get_logger()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Assemble the application; without settings, it reads the environment when it starts."""
    draining = Draining()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            try:
                current = settings or Settings.load_or_exit()
                configure("api", current.log_level)
                _set_root_path_or_exit(current.root_path, app)
                opening = open_api(current, draining)
                app.state.collaborators = await stack.enter_async_context(opening)
                _log_who_is_admitted(app.state.collaborators.get(AnonymousAccess))
            except (CannotStartError, ApiError, SystemExit) as error:
                _exit_without_cleanup(str(error))
            draining.begin_on_sigterm()
            await stack.enter_async_context(touch_while_alive(current.alive_file))
            yield {LIMITS_STATE_KEY: _connection_limits(current)}

    rules = build_call_rules(CAPABILITIES)
    app = DescribedApi(
        rules=rules,
        title="Page Parser",
        version="0.1.0",
        summary="Turns URLs into titles, HTML and metadata, now or later.",
        description=DESCRIPTION,
        lifespan=lifespan,
    )
    app.include_router(routes.router)
    exit_on_wrong_names(CAPABILITIES)
    for capability in CAPABILITIES:
        if capability.router is not None:
            app.include_router(capability.router())
    app.add_middleware(DoorMiddleware, rules=rules)  # inside of the next one
    app.add_middleware(RequestMiddleware, draining=draining)
    render_errors_as_problems(app)
    return app


def _set_root_path_or_exit(root_path: str, app: FastAPI) -> None:
    """Let the application know the path under which a proxy serves it.

    Raises:
        SystemExit: a path of the API begins like it.
    """
    paths = [*app.openapi()["paths"], "/docs", "/metrics", "/openapi.json"] if root_path else []
    if any(path.split("/")[1] == root_path.split("/")[1] for path in paths):
        sys.exit(
            f"ROOT_PATH is {root_path!r}; it must not begin as a path of the API does, "
            f"such as /status. Write another, such as /pages."
        )
    app.root_path = root_path


def _log_who_is_admitted(access: AnonymousAccess) -> None:
    """Tell the operator, loudly where it may not be what they want."""
    is_expected = access.mode == "required" or (access.mode == "auto" and access.is_possible)
    (log.info if is_expected else log.warning)(access.explain())


def _connection_limits(settings: Settings) -> ConnectionLimits:
    return ConnectionLimits(
        header_seconds=settings.request_header_timeout,
        body_seconds=settings.request_body_timeout,
        response_seconds=settings.response_timeout,
        least_rate=settings.least_rate,
    )


def _exit_without_cleanup(sentence: str) -> NoReturn:
    """End before anything was served: an exception would reach the log as a long traceback."""
    with contextlib.suppress(OSError):  # no room for a sentence: it ends all the same
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
    os._exit(1)


app = create_app()
