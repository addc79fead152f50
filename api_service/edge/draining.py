"""Stop without cutting clients off. Only this module and `protocol.py` know uvicorn's inside."""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

STOP_DELAY_SECONDS = 0.3
"""Seconds in which clients get their last answers before the server stops."""


class Draining:
    """Prepare the server's stop when SIGTERM arrives.

    uvicorn alone would wait for long polls, and would cut a kept connection between two
    requests. So before it gets the signal:

    1. From now on each answer asks its client to close the connection.
    2. Close the listening sockets. A connection that arrives now stays in the backlog for the
       next process, if that gets the same socket; accepted a moment before the end, it would
       be cut off.
    3. Call what others asked for with `on_begin`: long polls end.
    4. Hand the signal to the server after `STOP_DELAY_SECONDS`.
    """

    def __init__(self) -> None:
        self._has_begun = False
        self._on_begin: list[Callable[[], None]] = []

    @property
    def has_begun(self) -> bool:
        """Return whether this process is about to stop."""
        return self._has_begun

    def on_begin(self, call: Callable[[], None]) -> None:
        """Have something called on the event loop when draining begins."""
        self._on_begin.append(call)

    def begin_on_sigterm(self) -> None:
        """Put this object between SIGTERM and the server that runs the application.

        The server's handler of the signal is a method of it, which leads to its sockets. In a
        process without such a handler, as in tests, nothing happens.
        """
        loop = asyncio.get_running_loop()
        server_handler = signal.getsignal(signal.SIGTERM)
        if not callable(server_handler):
            return
        server = getattr(server_handler, "__self__", None)

        def begin(number: int) -> None:
            self._has_begun = True
            for listening in getattr(server, "servers", ()):  # not open yet at the start
                listening.close()
            loop.call_later(STOP_DELAY_SECONDS, server_handler, number, None)
            for call in self._on_begin:
                call()

        def on_sigterm(number: int, _: FrameType | None) -> None:
            loop.call_soon_threadsafe(begin, number)

        signal.signal(signal.SIGTERM, on_sigterm)
