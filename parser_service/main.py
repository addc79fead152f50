"""Assemble the parser's HTTP application. Run as `uvicorn parser_service.main:app`."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NoReturn

from fastapi import FastAPI

from parser_service import log, routes
from parser_service.alive import touch_while_alive
from parser_service.config import Settings
from parser_service.dependencies import open_route_context
from parser_service.exceptions import CannotStartError
from parser_service.problems import add_problem_handlers
from parser_service.responses import Problem


class DescribedParser(FastAPI):
    """An application whose schema makes good clients.

    `Problem` is one component, to which all errors refer, and an operation's id is its handler's
    name, which becomes a client's method. The framework's pages load other hosts' scripts, and
    its redirects of paths that end with a slash name a host that clients may not reach, so there
    are none.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **options,
            generate_unique_id_function=lambda route: route.name,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )

    def openapi(self) -> dict[str, Any]:
        """Return the schema; it is made once."""
        schema = super().openapi()
        schema["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
        return schema


def create_app(settings: Settings | None = None) -> FastAPI:
    """Assemble the application; without settings, read the environment when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                current = settings or Settings.load_or_exit()
                log.configure("parser", current.log_level)
                app.state.context = await stack.enter_async_context(open_route_context(current))
            except (CannotStartError, SystemExit) as error:
                _exit_without_cleanup(str(error))
            await stack.enter_async_context(touch_while_alive(current.http_alive_file))
            yield

    app = DescribedParser(
        title="Parser Service",
        version="0.1.0",
        summary="Turns a URL into facts. Internal: only the API service calls it.",
        lifespan=lifespan,
    )
    app.include_router(routes.router)
    add_problem_handlers(app)
    return app


def _exit_without_cleanup(sentence: str) -> NoReturn:
    """End before anything was served: an exception would reach the log as a long traceback."""
    with contextlib.suppress(OSError):  # no room for a sentence: it ends all the same
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
    os._exit(1)


app = create_app()
