"""Wrap every HTTP request: trace id, HEAD, limit on the body, unforeseen errors, log, metrics."""

import re
import secrets
from collections.abc import Iterable
from time import perf_counter

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_service.edge.connection_limits import BODY_TOO_SLOW_SCOPE_KEY
from api_service.edge.draining import Draining
from api_service.edge.exceptions import (
    BodyRefusedError,
    BodyTooLargeError,
    EncodedBodyError,
    InternalError,
    RequestTimeoutError,
)
from api_service.edge.problems import problem_response
from api_service.metrics.api import count_http_request

TRACE_HEADER = b"x-request-id"
MAX_BODY_BYTES = 64 * 1024
"""Bytes of a request's body: many times the longest URL with every character escaped."""

_CHARSET = re.compile(rb';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)
_TRACE_ID = re.compile(rb"[A-Za-z0-9._~-]{1,64}")

log = structlog.get_logger()


class RequestMiddleware:
    """Handle what every request has in common.

    1. Give it a trace id, and the answer as `X-Request-ID`.
    2. Treat HEAD as GET, and drop the body of the answer.
    3. Limit its body.
    4. Answer an error that nothing foresaw as a problem, and log it once.
    5. Forbid caches to store the answer, unless it says otherwise.
    6. Log the answer and count it.

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
        method = scope["method"]
        # A copy, because the server goes by the method that the client sent.
        inner = {**scope, "trace_id": trace_id, "method": "GET" if method == "HEAD" else method}
        answer = _Answer(send, trace_id, self._draining, has_body=method != "HEAD")
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                if _has_foreign_body(scope):
                    await problem_response(EncodedBodyError())(inner, receive, answer.send)
                else:
                    limited = _limit_body_size_and_time(receive, scope)
                    await self._app(inner, limited, answer.send)
            except Exception:
                log.exception("request failed")
                # What has begun cannot be taken back: the server closes the connection.
                if not answer.has_begun:
                    await problem_response(InternalError())(inner, receive, answer.send)
            finally:
                seconds = perf_counter() - started
                log.info(
                    "request served",
                    method=method,
                    path=scope["path"][:200],
                    status=answer.status,
                    ms=round(seconds * 1000, 1),
                )
                # Label by route template; raw paths are unbounded.
                route = getattr(inner.get("route"), "path", None)
                count_http_request(method, route, answer.status, seconds)


class _Answer:
    """Send one answer, with the headers that every answer has."""

    def __init__(self, send: Send, trace_id: str, draining: Draining, *, has_body: bool) -> None:
        self.status = 500
        self.has_begun = False
        self._send = send
        self._trace_id = trace_id
        self._draining = draining
        self._has_body = has_body

    async def send(self, message: Message) -> None:
        """Send a message, with the headers of every answer and, for HEAD, without the body."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            self.status = message["status"]
            message["headers"] = self._with_common_headers(message["headers"])
        elif not self._has_body:
            if message.get("more_body"):
                return
            message = {"type": "http.response.body"}
        await self._send(message)

    def _with_common_headers(
        self, headers: Iterable[tuple[bytes, bytes]]
    ) -> list[tuple[bytes, bytes]]:
        completed = [*headers, (TRACE_HEADER, self._trace_id.encode())]
        if all(name.lower() != b"cache-control" for name, _ in completed):
            completed.append((b"cache-control", b"no-store"))
        if self._draining.has_begun:
            completed.append((b"connection", b"close"))
        return completed


def _limit_body_size_and_time(receive: Receive, scope: Scope) -> Receive:
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            error = BodyTooLargeError(f"The body is longer than {MAX_BODY_BYTES} bytes.")
            raise BodyRefusedError(error)
        if scope.get(BODY_TOO_SLOW_SCOPE_KEY) and message.get("more_body"):
            raise BodyRefusedError(RequestTimeoutError())
        return message

    return limited


def _has_foreign_body(scope: Scope) -> bool:
    """Return whether a request says that its body is compressed, or not in UTF-8."""
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return True
        charset = _CHARSET.search(value) if name == b"content-type" else None
        if charset is not None and charset[1].lower() not in (b"utf-8", b"utf8"):
            return True
    return False


def _trace_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == TRACE_HEADER and _TRACE_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return secrets.token_hex(8)
