"""Keep what one connection to a site may send within bounds, and its responses apart.

aiohttp reads the messages. This module decides what reaches its parser, and which connections
serve another request:

- A head may have so many bytes, whatever its lines are, and a body so many that add nothing to
  it, such as trailers and extensions of chunks. Before it there may be a few 1xx responses.
- A body may have a few more bytes round its chunks than in them: each chunk costs time, and one
  can be as short as one byte.
- What arrives after a response, while nothing was asked for, ends the connection: the next
  request's response would be taken from it. What follows a body of an announced length is not
  part of it, and ends the connection as well. HTTP/1.1 does not tell a response that comes late,
  when the next request has been sent, from that request's own.
- Idle connections are bounded, over all hosts; the oldest are given up first.
"""

import asyncio
import select
from collections import OrderedDict
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey

from parser_service.exceptions import FetchError, TooLargeError
from parser_service.fetching import response_head

_START = b"HTTP/"
MAX_INFORMATIONAL = 20
"""1xx responses before a response: sites send one or two."""


class SiteConnection(ResponseHandler):
    """One connection to a site.

    Args:
        max_overhead: bytes of a head, and of what comes between two bytes of a body.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, max_overhead: int) -> None:
        super().__init__(loop)
        self._max_overhead = max_overhead
        self._head = bytearray()
        self._has_head = False
        self._informational = 0
        self._overhead = 0
        self._body_bytes = 0
        self._received = 0
        self._left: int | None = None

    def set_response_params(self, **params: Any) -> None:
        """Begin with the next response; aiohttp calls this before each request."""
        self._head.clear()
        self._has_head = False
        self._left = None
        self._informational = self._overhead = self._body_bytes = self._received = 0
        super().set_response_params(**params)

    def is_connected(self) -> bool:
        """Return whether the connection can take a request; the pool asks this."""
        return super().is_connected() and not self.should_close and not self.has_unread_bytes()

    def has_unread_bytes(self) -> bool:
        """Return whether the site has sent something, or an end, that the loop has not read."""
        if self.transport is None:
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def data_received(self, data: bytes) -> None:
        """Hand the parser what belongs to a response, in heads that it understands.

        Args:
            data: what arrived; aiohttp goes on with what it has kept when there is nothing.
        """
        if not data:
            super().data_received(data)
        elif not self._has_head:
            self._feed_head(data)
        elif self._payload is not None and self._payload.is_eof():
            # Nobody asked for this: the response before it was complete.
            self.force_close()
            if self.transport is not None:
                self.transport.close()
        else:
            self._feed_body(self._within_length(data))

    def connection_lost(self, error: BaseException | None) -> None:
        """Hand the parser what has arrived of a head: it knows what to make of it."""
        if self._head:
            self._pass_on_head()
        super().connection_lost(error)

    def _feed_head(self, data: bytes) -> None:
        rest: bytes | None = data
        while rest and not self._has_head:
            rest = self._feed_one_head(rest)

    def _feed_one_head(self, data: bytes) -> bytes | None:
        """Take what arrived of a head; return what follows it if another head is expected."""
        searched = len(self._head)
        self._head += data
        if not self._head.startswith(_START[: len(self._head)]):
            self._pass_on_head()  # no HTTP: the parser says so
            return None
        end = response_head.find_end(self._head, searched)
        if len(self._head if end < 0 else self._head[:end]) > self._max_overhead:
            self._refuse(
                TooLargeError("The response's header is larger than this service accepts.")
            )
            return None
        if end < 0:
            return None
        head, rest = bytes(self._head[:end]), bytes(self._head[end:])
        self._head.clear()
        if (mended := response_head.mend(head)) is not None:
            head = mended
            self.force_close()
        if not response_head.is_informational(head):
            self._has_head = True
            self._received = -len(head)
            self._left = response_head.body_length(head)
            rest = self._within_length(rest)
            # In one piece: a response that is there as a whole costs the parser one call.
            self._feed_body(head + rest)
            return None
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL:
            self._refuse(TooLargeError("The site sends too many responses without a page."))
            return None
        super().data_received(head)
        return rest

    def _within_length(self, data: bytes) -> bytes:
        """Return what belongs to the body; more than that ends the connection."""
        if self._left is None:
            return data
        if len(data) > self._left:
            self.force_close()  # before the parser has all, and the pool takes the connection back
            data = data[: self._left]
        self._left -= len(data)
        return data

    def _pass_on_head(self) -> None:
        self._has_head = True
        received = bytes(self._head)
        self._head.clear()
        super().data_received(received)

    def _feed_body(self, data: bytes) -> None:
        super().data_received(data)
        self._received += len(data)
        if (payload := self._payload) is None or payload.is_eof():
            return
        if self._received > self._max_overhead + 2 * payload.total_bytes:
            self._refuse(TooLargeError("The response has more overhead than page."))
            return
        if payload.total_bytes > self._body_bytes:
            self._body_bytes, self._overhead = payload.total_bytes, 0
        else:
            self._overhead += len(data)
            if self._overhead > self._max_overhead:
                self._refuse(TooLargeError("The response has more overhead than page."))

    def _refuse(self, error: FetchError) -> None:
        self._head.clear()
        if self._payload is not None:
            self._payload.set_exception(error)
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()


class SiteConnector(aiohttp.TCPConnector):
    """Make connections of `SiteConnection`, and keep a bounded number of them idle.

    Args:
        max_idle: idle connections, over all hosts.
        max_overhead: see `SiteConnection`.
        options: of `aiohttp.TCPConnector`.
    """

    def __init__(self, *, max_idle: int, max_overhead: int, **options: Any) -> None:
        super().__init__(**options)
        self._max_idle = max_idle
        self._released: OrderedDict[ResponseHandler, ConnectionKey] = OrderedDict()
        self._factory = partial(  # type: ignore[assignment]
            SiteConnection, self._loop, max_overhead=max_overhead
        )

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        super()._release(key, protocol, should_close=should_close)
        self._released[protocol] = key
        self._released.move_to_end(protocol)
        if len(self._released) > self._max_idle:
            self._give_up(*self._released.popitem(last=False))

    def _give_up(self, protocol: ResponseHandler, key: ConnectionKey) -> None:
        """Close a connection if it is idle."""
        if (idle := self._conns.get(key)) is None:
            return
        for entry in idle:
            if entry[0] is protocol:
                idle.remove(entry)
                if not idle:
                    del self._conns[key]
                protocol.close()
                return
