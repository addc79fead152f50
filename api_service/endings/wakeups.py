"""Wake clients that wait for a request to end.

One connection LISTENs; PostgreSQL notifies it on commit. A wait holds no database connection.
If the listening connection breaks, notices are missed: so each waiter also looks for itself once
a second.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator

import structlog

from api_service.database_address import DatabaseAddress
from api_service.endings.repository import ENDED_CHANNEL
from api_service.process.notices import NoticeListener

STATUS_RECHECK_SECONDS = 1.0

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
        self._notices = NoticeListener(
            address,
            ENDED_CHANNEL,
            on_notice=self._on_notice,
            on_connected=self._note_connected,
        )
        self._waiters: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self._closing = False
        self.ended = 0
        self.connected = 0

    def open(self) -> None:
        """Begin to listen."""
        self._notices.open()

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
        await self._notices.close()

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

    def _note_connected(self) -> None:
        self.connected += 1

    def _on_notice(self, payload: str) -> None:
        try:
            request_ids = [int(request_id) for request_id in payload.split(",")]
        except ValueError:
            log.debug("notice of another program ignored", payload=payload[:100])
            return
        self.ended += len(request_ids)
        for request_id in request_ids:
            for event in self._waiters.get(request_id, ()):
                event.set()
