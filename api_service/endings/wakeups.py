"""Wake clients that wait for a request to end.

One connection LISTENs; PostgreSQL notifies it on commit. A wait holds no database connection.
If the listening connection breaks, notices are missed: so each waiter also looks for itself once
a second.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import asyncpg
import structlog

from api_service.database_address import DatabaseAddress
from api_service.endings.repository import ENDED_CHANNEL

STATUS_RECHECK_SECONDS = 1.0
RECONNECT_SECONDS = 1.0
CONNECT_TIMEOUT_SECONDS = 3

log = structlog.get_logger()


class EndingListener:
    """Listens for ended requests and sets the events of their waiters.

    Args:
        address: of the database.

    Attributes:
        ended: requests that have ended while it listened.
        connected: how often it began to listen: before each but the first, it may have missed some.
    """

    def __init__(self, address: DatabaseAddress) -> None:
        self._arguments = {"timeout": CONNECT_TIMEOUT_SECONDS} | dict(address.driver_arguments)
        self._waiters: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self._closing = False
        self.ended = 0
        self.connected = 0
        self._listening: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to listen."""
        self._listening = asyncio.create_task(self._listen_and_reconnect())

    @property
    def is_closing(self) -> bool:
        """Return whether waits end early because this process stops."""
        return self._closing

    def end_waits(self) -> None:
        """Have every waiter look once more and answer: the process is about to stop."""
        self._closing = True
        for events in self._waiters.values():
            for event in events:
                event.set()

    async def close(self) -> None:
        """Stop listening."""
        self.end_waits()
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    @contextlib.contextmanager
    def subscription(self, request_id: int) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the request ends or a look is due for another reason."""
        event = asyncio.Event()
        self._waiters[request_id].add(event)
        try:
            yield event
        finally:
            self._waiters[request_id].discard(event)
            if not self._waiters[request_id]:
                del self._waiters[request_id]

    async def _listen_and_reconnect(self) -> None:
        """Listen for ever: log a lost connection, pause, and connect again."""
        while True:
            lost = asyncio.Event()
            connection = None
            try:
                connection = await asyncpg.connect(**self._arguments)
                connection.add_termination_listener(lambda *_, lost=lost: lost.set())
                await connection.add_listener(ENDED_CHANNEL, self._on_notice)
                self.connected += 1
                await lost.wait()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("not listening for ended requests", error=repr(error))
            finally:
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(RECONNECT_SECONDS)

    def _on_notice(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        try:
            request_ids = [int(request_id) for request_id in payload.split(",")]
        except ValueError:
            log.debug("notice of another program ignored", payload=payload[:100])
            return
        self.ended += len(request_ids)
        for request_id in request_ids:
            for event in self._waiters.get(request_id, ()):
                event.set()
