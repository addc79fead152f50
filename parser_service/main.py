"""Assemble the parser's HTTP application. Run as `uvicorn parser_service.main:app`."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from parser_service import log, routes
from parser_service.alive import touch_while_alive
from parser_service.config import Settings
from parser_service.dependencies import open_route_context
from parser_service.problems import add_problem_handlers


def create_app(settings: Settings | None = None) -> FastAPI:
    """Assemble the application; without settings, read the environment when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current = settings or _load_settings()
        log.configure("parser", current.log_level)
        async with (
            open_route_context(current) as context,
            touch_while_alive(current.http_alive_file),
        ):
            app.state.context = context
            yield

    app = FastAPI(
        title="Page Parser: parser service",
        version="0.1.0",
        summary="Turns a URL into facts. Internal: only the API service calls it.",
        lifespan=lifespan,
    )
    app.include_router(routes.router)
    add_problem_handlers(app)
    return app


def _load_settings() -> Settings:
    try:
        return Settings.load()
    except SystemExit as error:
        # uvicorn would log an exception of the lifespan as a long traceback.
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(1)


app = create_app()
