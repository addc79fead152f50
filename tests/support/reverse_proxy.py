"""A small reverse proxy on a port of its own: one connection for each request."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from tests.support.waiting import until

HEAD = re.compile(rb"(\S+) (\S+) HTTP/1\.1\r\n(.*?\r\n)\r\n", re.DOTALL)


@contextlib.asynccontextmanager
async def open_reverse_proxy(
    host: str, port: int, prefix: str, *, strips: bool
) -> AsyncIterator[str]:
    """Serve a server below a path, and yield the URL of it.

    Args:
        host: of the server.
        port: of the server.
        prefix: the path.
        strips: whether the server gets requests without the path.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            found = HEAD.fullmatch(head)
            assert found
            method, path, headers = found.groups()
            if strips:
                path = path.removeprefix(prefix.encode())
            client = writer.get_extra_info("peername")[0].encode()
            added = b"X-Forwarded-For: " + client + b"\r\nConnection: close\r\n"
            headers = re.sub(rb"(?im)^connection:.*\r\n", b"", headers)
            upstream, to_server = await asyncio.open_connection(host, port)
            with contextlib.closing(to_server):
                to_server.write(method + b" " + path + b" HTTP/1.1\r\n" + headers + added + b"\r\n")
                body = asyncio.create_task(_copy(reader, to_server))
                await _copy(upstream, writer)
                body.cancel()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        await until(server.is_serving)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{prefix}"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
