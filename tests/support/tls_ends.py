"""Stand where a server is expected: hear how clients begin, or speak TLS in front of it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from threading import Thread

import trustme

from tests.support.faults import CHUNK

CLIENT_HELLO = 0x16
"""The first byte of every TLS connection: a record of the handshake."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@contextlib.asynccontextmanager
async def open_recorder(firsts: list[bytes]) -> AsyncIterator[int]:
    """Append what each connection sends first, and close it; yield the port."""

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                firsts.append(await reader.read(CHUNK))
        writer.close()

    server = await asyncio.start_server(record, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.contextmanager
def serving(serve: Serve, context: ssl.SSLContext | None, **address: str) -> Iterator[int]:
    """Serve in a thread, on a port of 127.0.0.1 or on a Unix socket (`path`); yield the port."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncio.Server:
        if "path" in address:
            return await asyncio.start_unix_server(serve, address["path"])
        return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context, backlog=1024)

    async def stop() -> None:
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield 0 if "path" in address else server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def forward_to(port: int) -> Serve:
    """Forward each connection to a server on this port of 127.0.0.1."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, server = await asyncio.open_connection("127.0.0.1", port)
            await forward(reader, writer, from_server, server)
        except OSError:
            writer.close()  # the client sees a closed connection

    return serve


async def forward(
    from_client: asyncio.StreamReader,
    client: asyncio.StreamWriter,
    from_server: asyncio.StreamReader,
    server: asyncio.StreamWriter,
) -> None:
    """Pass on what both say until one of them closes."""
    pumps = {
        asyncio.create_task(_pump(from_client, server)),
        asyncio.create_task(_pump(from_server, client)),
    }
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        for end in (client, server):
            end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


def issue_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context for 127.0.0.1, and the file of the authority behind it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    return context, bundle
