"""Harm a server or the connections to it: kill, silence, reset, hold a message back."""

import asyncio
import contextlib
import re
import shutil
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import psutil

from local.addresses import free_port
from local.postgres import Postgres
from local.valkey import Valkey

CHUNK = 256 * 1024


class Hold:
    """Hold one message back in a proxy.

    Until then the test can kill the process that sent it or waits for it.

    Args:
        word: regular expression that the message's bytes contain.
        after: regular expression for a message that must have passed before.
        to_server: hold a message to the server, else one of its answers.
    """

    def __init__(self, word: bytes, *, after: bytes | None, to_server: bool) -> None:
        self._word = re.compile(word)
        self._after = re.compile(after) if after else None
        self._to_server = to_server
        self._reached = asyncio.Event()
        self._over = asyncio.Event()
        self._is_dropped = False

    async def reached(self, *, seconds: float = 30) -> None:
        """Wait until the message is held."""
        async with asyncio.timeout(seconds):
            await self._reached.wait()

    def drop(self) -> None:
        """Close the connection: the message never arrives."""
        self._is_dropped = True
        self._over.set()

    def let_go(self) -> None:
        """Deliver the message, late."""
        self._over.set()

    async def passes(self, data: bytes, *, to_server: bool) -> bool:
        """Wait while the piece is held; return whether it may pass then."""
        if self._over.is_set() or self._reached.is_set() or to_server is not self._to_server:
            return True
        if self._after is not None:
            if self._after.search(data):
                self._after = None
            return True
        if not self._word.search(data):
            return True
        self._reached.set()
        await self._over.wait()
        return not self._is_dropped


class Proxy:
    """Forward TCP connections to one server of this machine, from a port of its own."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._hold: Hold | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def silence(self) -> None:
        """Accept connections and bytes, and forward nothing."""
        self._flowing.clear()

    def speak(self) -> None:
        """Forward again, including what was kept back."""
        self._flowing.set()

    def reset(self) -> int:
        """Break all connections with a reset, and return their number."""
        writers = list(self._writers)
        for writer in writers:
            with contextlib.suppress(OSError, AttributeError):
                linger = struct.pack("ii", 1, 0)
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        return len(writers)

    @contextlib.contextmanager
    def holding(
        self, word: bytes, *, after: bytes | None = None, to_server: bool = True
    ) -> Iterator[Hold]:
        """Hold the first message with this word; drop it if it is still held at the end."""
        hold = self._hold = Hold(word, after=after, to_server=to_server)
        try:
            yield hold
        finally:
            self._hold = None
            if not hold._over.is_set():
                hold.drop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        self._writers.add(writer)
        server = None
        try:
            await self._flowing.wait()
            from_server, server = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(server)
            pumps = {
                asyncio.create_task(self._pump(reader, server, to_server=True)),
                asyncio.create_task(self._pump(from_server, writer, to_server=False)),
            }
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the server is down: the client sees a closed connection
        except asyncio.CancelledError:
            pass  # at the end of the test
        finally:
            self._serving.discard(task)
            for end in (writer, server):
                if end is not None:
                    self._writers.discard(end)
                    end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                hold = self._hold
                if hold is not None and not await hold.passes(data, to_server=to_server):
                    return
                writer.write(data)
                await writer.drain()


class Server:
    """Run a PostgreSQL or Valkey of the test's own, and harm it."""

    def __init__(self, server: Postgres | Valkey, data: Path) -> None:
        self._server = server
        self._data = data
        self.url = server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self.resume()
        self._server.stop()

    def kill(self) -> None:
        """Send SIGKILL to all of its processes at once."""
        processes = self._processes()
        self._signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=10)

    def pause(self) -> None:
        """Send SIGSTOP: the kernel still accepts connections, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Keep it silent during the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def empty(self) -> None:
        """Delete all that it has stored. Call it only while the server does not run."""
        shutil.rmtree(self._data)

    def is_running(self) -> bool:
        process = self._server.process
        return process is not None and process.poll() is None

    def _processes(self) -> list[psutil.Process]:
        if self._server.process is None:
            return []
        try:
            first = psutil.Process(self._server.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if number == signal.SIGKILL and self._server.process is not None:
            self._server.process.wait()


def postgres(folder: Path) -> Server:
    """Return a durable PostgreSQL that listens on a port."""
    server = Postgres(folder, port=free_port())
    return Server(server, server._data)


def valkey(folder: Path) -> Server:
    """Return a Valkey with its append-only file."""
    server = Valkey(folder)
    return Server(server, server._folder)
