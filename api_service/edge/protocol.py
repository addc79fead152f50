"""Cut off clients that send or read too slowly.

uvicorn itself waits for ever, so the API runs with `--http api_service.edge.protocol:BoundedHttp`.
Long polls are not affected: a connection on which the API is at work is not watched, unless bytes
are on their way.
"""

import asyncio
import fcntl
import re
import secrets
import struct
import sys
import termios
from enum import Enum, auto
from typing import Any, cast

import structlog
from httptools import HttpParserInvalidMethodError
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from api_service.edge.connection_limits import (
    BODY_TOO_SLOW_SCOPE_KEY,
    LIMITS_STATE_KEY,
    ConnectionLimits,
    RateCheck,
)
from api_service.edge.exceptions import (
    BadRequestError,
    HeaderTooLargeError,
    RequestTimeoutError,
    UnknownMethodError,
)
from api_service.edge.problems import PROBLEM_MEDIA_TYPE, problem_body
from api_service.edge.request_host import TARGET_AUTHORITY_SCOPE_KEY
from api_service.exceptions import ApiError

MAX_HEADER_BYTES = 64 * 1024
"""Bytes of a request's header, about."""
_REQUEST_LINE = re.compile(rb"\r?\n?[A-Za-z-]{1,40} [^\s]+ HTTP/1\.[01]\r?\n")
_BYTES_BETWEEN_WATER_MARKS = 48 * 1024
"""Bytes that a client took when the server may write again: from the high to the low water mark."""

_TARGET_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")

log = structlog.get_logger()


class _RequestPart(Enum):
    """What the server waits for from a client."""

    NOTHING = auto()
    HEADER = auto()
    BODY = auto()


class BoundedHttp(HttpToolsProtocol):
    """Speak HTTP as uvicorn does, with limits on the time that a client takes.

    1. A header that is not complete in time: 408, and the connection is closed. A connection on
       which nothing ever arrived is closed without a word.
    2. A body that is too slow: whoever reads it learns it from the scope (`request_context.py`),
       and the connection is closed after the answer.
    3. An answer that its client does not take: the connection is broken off.

    Time is measured from look to look, so that a quick request costs no look at the clock.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        limits: ConnectionLimits = app_state.get(LIMITS_STATE_KEY) or ConnectionLimits()
        self._limits = limits
        self._check_timer: asyncio.TimerHandle | None = None
        self._part = _RequestPart.HEADER
        self._since: float | None = None
        self._header_bytes = 0
        self._parsed_header_bytes = 0
        self._refusal: ApiError | None = None
        self._is_request_line = False
        self._is_silent = True
        self._body_pace = RateCheck(limits.body_seconds, limits.least_rate)
        self._answer_pace = RateCheck(limits.response_seconds, limits.least_rate)
        self._is_sending = False
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._check_timer = self.loop.call_later(
            self._limits.check_interval_seconds, self._check_pace
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_pace_checks()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._stop_pace_checks()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        self._is_silent = False
        if self._part is _RequestPart.NOTHING:
            self._part = _RequestPart.HEADER
            self._since = None
            self._header_bytes = 0
        self._header_bytes += len(data)
        self._refusal = None
        self._is_request_line = bool(_REQUEST_LINE.match(data))
        super().data_received(data)
        if self._part is _RequestPart.HEADER and self._header_bytes > MAX_HEADER_BYTES:
            self._refuse_header(_header_too_large())

    def on_message_begin(self) -> None:
        self._parsed_header_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_header(len(name) + len(value) + 4)  # ": " and the line's end
        super().on_header(name, value)

    def _count_header(self, size: int) -> None:
        """Count what came, be it in one packet with all that follows, or a trailer.

        Raises:
            HeaderTooLargeError: it is too long; httptools ends its parsing with that.
        """
        self._parsed_header_bytes += size
        if self._parsed_header_bytes > MAX_HEADER_BYTES:
            self._refusal = _header_too_large()
            raise self._refusal

    def on_headers_complete(self) -> None:
        self._part = _RequestPart.BODY
        self._since = None
        if not self.url.startswith(b"/"):  # else the server forgets the host in it
            found = _TARGET_AUTHORITY.match(self.url)
            authority = found[1] if found else b""
            cast("Scope", self.scope)[TARGET_AUTHORITY_SCOPE_KEY] = authority
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_pace.count(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._part = _RequestPart.NOTHING
        super().on_message_complete()

    def resume_writing(self) -> None:
        self._answer_pace.count(_BYTES_BETWEEN_WATER_MARKS)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words for its log
        # uvicorn's own is plain text, and it would write it into an answer that is being sent.
        if self._has_unanswered_request():
            self.transport.close()
            return
        error = self._refusal or BadRequestError("This is not HTTP.")
        if self._is_request_line and isinstance(sys.exception(), HttpParserInvalidMethodError):
            error = UnknownMethodError()
        self._answer_and_close(error)

    def _stop_pace_checks(self) -> None:
        if self._check_timer is not None:
            self._check_timer.cancel()
            self._check_timer = None

    def _check_pace(self) -> None:
        now = self.loop.time()
        self._check_timer = self.loop.call_later(
            self._limits.check_interval_seconds, self._check_pace
        )
        if self.flow.read_paused:  # then it is not the client who is slow
            self._since = None
        elif not self.transport.is_closing():
            self._cut_off_slow_sender(now)
        self._cut_off_slow_reader(now)

    def _cut_off_slow_sender(self, now: float) -> None:
        if self._since is None:  # the first look at this header, or at this body
            self._since = now
            self._body_pace.begin(now)
        elif self._part is _RequestPart.HEADER and now - self._since >= self._limits.header_seconds:
            self._refuse_header(
                RequestTimeoutError("The header did not arrive in time; send it at once.")
            )
        elif self._part is _RequestPart.BODY:
            if self._has_unanswered_request():
                self._since = now
            if self._body_pace.check_and_renew_window(now):
                self._abandon_body()
            elif now - self._since >= self._limits.body_seconds:
                self.transport.close()  # it goes on sending what was answered long ago

    def _refuse_header(self, error: ApiError) -> None:
        """Answer a header that is not complete, unless an earlier request is still answered."""
        if self._has_unanswered_request():
            self.cycle.keep_alive = False
        elif self._is_silent:
            self.transport.close()
        else:
            self._answer_and_close(error)

    def _abandon_body(self) -> None:
        if not self._has_unanswered_request():
            self.transport.close()
            return
        self.cycle.keep_alive = False
        cast("Scope", self.cycle.scope)[BODY_TOO_SLOW_SCOPE_KEY] = True
        self.cycle.message_event.set()

    def _cut_off_slow_reader(self, now: float) -> None:
        """Watch what the server holds back because the client does not take it.

        The bytes in the kernel count as well: it takes them in lumps that may be minutes apart.
        """
        waiting = self.transport.get_write_buffer_size()
        if not waiting:
            self._is_sending = False
            return
        unsent = waiting + _unsent_by_the_kernel(self.transport)
        if self._is_sending:
            self._answer_pace.count(max(0, self._unsent - unsent))
        else:
            self._is_sending = True
            self._answer_pace.begin(now)
        self._unsent = unsent
        if self._answer_pace.check_and_renew_window(now):
            log.info("client does not read its answer", unsent=unsent)
            self.transport.abort()

    def _has_unanswered_request(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _answer_and_close(self, error: ApiError) -> None:
        """Answer a request of which the application learns nothing."""
        status = error.http_status
        body = problem_body(error)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {PROBLEM_MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\ncache-control: no-store\r\n"
            f"x-request-id: {secrets.token_hex(8)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _header_too_large() -> HeaderTooLargeError:
    return HeaderTooLargeError(f"The header is longer than {MAX_HEADER_BYTES} bytes.")


def _unsent_by_the_kernel(transport: asyncio.Transport) -> int:
    try:
        descriptor = transport.get_extra_info("socket").fileno()
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):  # not a socket of a kind that tells
        return 0
    return int(struct.unpack("i", answer)[0])
