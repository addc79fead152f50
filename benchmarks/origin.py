"""Serve the pages that the benchmark fetches. Run as `python -m benchmarks.origin PORT`.

`GET /<kib>/<ms>/<n>` answers after `ms` milliseconds with a page of `kib` KiB whose title is
`Page <n>`. It is a bare protocol on uvloop, without a framework, so that the site is never the
bottleneck.
"""

import asyncio
import sys
from functools import cache
from typing import cast

import uvloop

CARD = """<section id="s{n}"><h2>Part {n}</h2>
<p class="lead">{text}</p>
<ul><li><a href="/parts/{n}">first</a></li><li>second &amp; <em>third</em></li></ul></section>
"""
WORDS = """
a page like many others has paragraphs of some length with words of several sizes and now
and then a link or an image or a list of things that belong together and nothing more
"""
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Page {n}</title>
<meta name="description" content="What page {n} is about.">
<meta property="og:title" content="Page {n} elsewhere"><link rel="canonical" href="/pages/{n}">
<link rel="icon" href="/icon.png"></head><body>
"""
TAIL = "</body></html>\n"
MAX_HEAD = 64 * 1024


@cache
def _body(kib: int) -> bytes:
    """Return the body of all pages of a size, varied enough not to compress to nothing."""
    words = WORDS.split()
    cards: list[str] = []
    missing = kib * 1024 - len(HEAD) - len(TAIL)
    while missing > 0:
        number = len(cards)
        step = number % 5 + 1
        text = " ".join(words[(number * 7 + i * step) % len(words)] for i in range(30))
        cards.append(CARD.format(n=number, text=text))
        missing -= len(cards[-1])
    return ("".join(cards) + TAIL).encode()


def page(kib: int, number: str) -> bytes:
    """Return the page with this number in its title."""
    return HEAD.format(n=number).encode() + _body(kib)


def _response(path: str) -> tuple[int, bytes]:
    """Return the milliseconds to wait, and the response to send after that."""
    match path.split("/"):
        case ["", kib, ms, number] if kib.isdecimal() and ms.isdecimal():
            body = page(int(kib), number)
            head = f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}"
            return int(ms), b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (head.encode(), body)
        case _:
            return 0, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            delay, response = _response(head.split(b" ", 2)[1].decode("latin-1"))
            if delay:
                asyncio.get_running_loop().call_later(delay / 1000, self._send, response)
            else:
                self._send(response)
        if len(self._received) > MAX_HEAD and self._transport:
            self._transport.close()

    def _send(self, response: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(response)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
