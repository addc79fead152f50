"""Wrap every HTTP request: trace id, limit on the body, log line, metrics."""

import re
import secrets
from http import HTTPStatus
from time import perf_counter

import structlog
from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_service.edge.connection_limits import BODY_TOO_SLOW
from api_service.edge.draining import Draining
from api_service.metrics.api import http_request_served

TRACE_HEADER = b"x-request-id"
MAX_BODY = 64 * 1024
"""Bytes of a request's body: many times the longest URL with every character escaped."""

_TRACE_ID = re.compile(rb"[A-Za-z0-9._~-]{1,64}")

log = structlog.get_logger()


class RequestContext:
    """Give each request a trace id, limit its body, log its answer and count it.

    Args:
        app: the application that answers.
        draining: asks clients to close their connections before a stop.
    """

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        trace_id = _trace_id(scope)
        scope["trace_id"] = trace_id
        status = 500

        async def send_with_trace_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (TRACE_HEADER, trace_id.encode())]
                if self._draining.has_begun:
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            await send(message)

        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                await self._app(scope, _limited(receive, scope), send_with_trace_id)
            finally:
                seconds = perf_counter() - started
                log.info(
                    "request served",
                    method=scope["method"],
                    path=scope["path"][:200],
                    status=status,
                    ms=round(seconds * 1000, 1),
                )
                # Label by route template; raw paths are unbounded.
                route = getattr(scope.get("route"), "path", None)
                http_request_served(scope["method"], route, status, seconds)


def _limited(receive: Receive, scope: Scope) -> Receive:
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise HTTPException(status, f"The body is longer than {MAX_BODY} bytes.")
        if scope.get(BODY_TOO_SLOW) and message.get("more_body"):
            status = HTTPStatus.REQUEST_TIMEOUT
            raise HTTPException(status, "The body did not arrive in time; send it at once.")
        return message

    return limited


def _trace_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == TRACE_HEADER and _TRACE_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return secrets.token_hex(8)
