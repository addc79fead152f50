"""A pooler before PostgreSQL that shares sessions as PgBouncer does, without passwords."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class _Session:
    """A connection to the server, and what the server said when it began."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting = b""

    async def answer(self) -> tuple[bytes, bool]:
        """Return the next message, and whether it ends a transaction."""
        kind, length = struct.unpack("!ci", await self.reader.readexactly(5))
        body = await self.reader.readexactly(length - 4)
        return kind + struct.pack("!i", length) + body, (kind, body) == (b"Z", b"I")


class Pooler:
    """Serve clients with sessions of the server, which go back after each transaction.

    Args:
        port: of the server, on 127.0.0.1.
        by_transaction: False keeps a session for as long as its client is there.
    """

    def __init__(self, port: int, *, by_transaction: bool) -> None:
        self._port = port
        self._by_transaction = by_transaction
        self._free: list[_Session] = []
        self._all: list[_Session] = []

    async def _begin(self, startup: bytes) -> _Session:
        if self._free:
            return self._free.pop()
        session = _Session(*await asyncio.open_connection("127.0.0.1", self._port))
        self._all.append(session)
        session.writer.write(startup)
        has_begun = False
        while not has_begun:
            message, has_begun = await session.answer()
            session.greeting += message
        return session

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            startup = await self._startup(reader, writer)
            mine = [await self._begin(startup)]
            writer.write(mine[0].greeting)
            while True:
                if self._by_transaction:
                    self._free += mine
                    mine = []
                data = await reader.read(65536)
                if not data or data[:1] == b"X":
                    break
                mine = mine or [await self._begin(startup)]
                await self._exchange(mine[0], data, reader, writer)

    def close(self) -> None:
        """End all sessions."""
        for session in self._all:
            session.writer.close()

    async def _startup(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        while True:
            head = await reader.readexactly(8)
            if head != SSL_REQUEST:
                return head + await reader.readexactly(struct.unpack("!i", head[:4])[0] - 8)
            writer.write(b"N")

    async def _exchange(
        self,
        session: _Session,
        data: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Pass one transaction on."""

        async def pass_on() -> None:
            nonlocal data
            while data:
                session.writer.write(data)
                data = await reader.read(65536)

        passing = asyncio.create_task(pass_on())
        is_over = False
        while not is_over:
            message, is_over = await session.answer()
            writer.write(message)
        passing.cancel()


@contextlib.asynccontextmanager
async def open_pooler(port: int, *, by_transaction: bool) -> AsyncIterator[int]:
    """Start a pooler, and yield its port."""
    pooler = Pooler(port, by_transaction=by_transaction)
    async with await asyncio.start_server(pooler.serve, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1]
        pooler.close()
