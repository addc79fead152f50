"""Listen to one channel of PostgreSQL's notifications, and connect again when that breaks."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import asyncpg
import structlog

from api_service.database_address import DatabaseAddress

RECONNECT_SECONDS = 1.0
CONNECT_TIMEOUT_SECONDS = 3

log = structlog.get_logger()


class NoticeListener:
    """Hand each notice of a channel to a function; what is sent while it is away is lost.

    Args:
        address: of the database.
        channel: to listen to.
        on_notice: gets the payload, which any program may have sent.
        on_connected: is called when it begins to listen, again after each loss.
    """

    def __init__(
        self,
        address: DatabaseAddress,
        channel: str,
        *,
        on_notice: Callable[[str], None],
        on_connected: Callable[[], None],
    ) -> None:
        self._arguments = {"timeout": CONNECT_TIMEOUT_SECONDS} | dict(address.driver_arguments)
        self._channel = channel
        self._on_notice = on_notice
        self._on_connected = on_connected
        self._listening: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to listen."""
        self._listening = asyncio.create_task(self._listen_and_reconnect())

    async def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    async def _listen_and_reconnect(self) -> None:
        """Listen for ever: log a lost connection, pause, and connect again."""
        while True:
            lost = asyncio.Event()
            connection = None
            try:
                connection = await asyncpg.connect(**self._arguments)
                connection.add_termination_listener(lambda *_, lost=lost: lost.set())
                await connection.add_listener(self._channel, self._hand_on)
                self._on_connected()
                await lost.wait()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("not listening", channel=self._channel, error=repr(error))
            finally:
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(RECONNECT_SECONDS)

    def _hand_on(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        self._on_notice(payload)
