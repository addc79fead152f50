"""Serve the hostile site and its neighbour, each in a process of its own.

Run as `python -m tests.system.attack.sites hostile|neighbour PORT [HOSTS]`.
"""

import asyncio
import contextlib
import resource
import sys
from urllib.parse import unquote

from tests.system.attack.attacks import ATTACKS, ROBOTS

NEIGHBOUR = "127.0.0.77"
SMALL, BIG = "/small", "/big"
_WORDS = b"<p class='text'>Some words that somebody reads.</p>"
_PAGES = {
    SMALL: b"<title>small</title>" + _WORDS * 20,
    BIG: b"<title>big</title>" + _WORDS * 12_000,
}
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b"


def hostile_address(number: int) -> str:
    """Return an address of the hostile site."""
    return f"127.0.{10 + number // 250}.{1 + number % 250}"


async def _serve_neighbour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            page = _PAGES[path.partition("?")[0]]
            writer.write(_OK % (len(page), page))
            await writer.drain()
    writer.close()


async def _serve_hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            path = unquote((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode())
            name = path.strip("/").partition("?")[0]
            if name == "robots.txt":
                body = ATTACKS[ROBOTS].robots or b""
                writer.write(_OK.replace(b"html", b"plain") % (len(body), body))
                continue
            attack = ATTACKS[name]
            async for part in attack.send():
                writer.write(part)
                await writer.drain()
            if attack.hosts == 1 and name != "second response":
                break
    writer.close()


async def serve(site: str, port: int, hosts: int) -> None:
    """Serve one of the sites until the process is ended."""
    addresses = [NEIGHBOUR]
    if site == "hostile":
        addresses = [hostile_address(n) for n in range(hosts)]
    answer = _serve_hostile if site == "hostile" else _serve_neighbour
    for address in addresses:
        await asyncio.start_server(answer, address, port)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    _hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_hard, 16_384), _hard))
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
