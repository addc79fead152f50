"""List the attacks: what a hostile site answers, and how often it is asked."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import cache

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
TITLE = b"<title>x</title>"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ROBOTS = "1,500 robots x 2,900 rules"
CHUNK_BYTES = 64 * 1024
Bytes = AsyncIterator[bytes]


@dataclass(frozen=True)
class Attack:
    """Describe one attack.

    Attributes:
        send: yields what the site answers to each request.
        number: requests, half of them for each entrance.
        hosts: addresses of the site that are asked in turn.
        robots: what its robots.txt says; asked for only if there is one.
    """

    send: Callable[[], Bytes]
    number: int = 8
    hosts: int = 1
    robots: bytes | None = None


def _page(body: bytes, headers: bytes = b"") -> Callable[[], Bytes]:
    return _raw(HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def _raw(*parts: bytes) -> Callable[[], Bytes]:
    async def send() -> Bytes:
        for part in parts:
            yield part

    return send


def _repeat(start: bytes, again: bytes, times: int, pause: float = 0) -> Callable[[], Bytes]:
    async def send() -> Bytes:
        yield start
        for _ in range(times):
            yield again
            await asyncio.sleep(pause)

    return send


def _late() -> Callable[[], Bytes]:
    own = HEAD + b"Content-Length: %d\r\n\r\n" % len(TITLE) + TITLE
    injected = own.replace(b">x<", b">!<")

    async def send() -> Bytes:
        yield own + injected
        await asyncio.sleep(0.05)
        yield injected

    return send


def _attributes(size: int, form: bytes) -> bytes:
    names: Iterable[bytes] = (form % n for n in range(size // 8))
    return TITLE + b"<p " + b"".join(names)[:size] + b">"


@cache
def _compressed(size: int) -> bytes:
    return gzip.compress(TITLE + bytes(range(32, 96)) * (size // 64), 1)


def _robots() -> bytes:
    agents = b"".join(b"User-agent: %d\n" % n for n in range(1500))
    return agents + b"".join(b"Disallow: /%d\n" % n for n in range(2900))


_META = b"<meta property='%s' content='%s'>"
_NAMES = b" ".join(b"og:%d" % n for n in range(200))
_REOPENED = b"<p>" + b"".join(b"<b a%d>" % n for n in range(1500)) + b"<p>x" * 6400
_SCRIPT = b"<script type=application/ld+json>[" + b'{"a":1},' * 7500 + b'">"]</script>'
_BIG = b"<p>some words</p>" * 250_000

ATTACKS: dict[str, Attack] = {
    "second response": Attack(_late()),
    "formatting elements": Attack(_page(TITLE + _REOPENED)),
    "formatting in UTF-16": Attack(
        _page((b"<p>" + _REOPENED[3:12_000] + b"<p>x" * 5000).decode().encode("utf-16"))
    ),
    ROBOTS: Attack(_page(TITLE), hosts=4, robots=_robots()),
    "64 KB of attributes": Attack(_page(_attributes(64 * 1024, b"a%d "))),
    "256 KB of attributes": Attack(_page(_attributes(250 * 1024, b'a%d="<p>" '))),
    "a meta of 200 names": Attack(_page(TITLE + _META % (_NAMES, b"a b " * 15_000))),
    "30 MB of headers": Attack(_repeat(HEAD, b"X: " + b"y" * 65_000 + b"\r\n", 460), number=16),
    "30 MB of trailers": Attack(
        _repeat(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: " + b"y" * 65_000 + b"\r\n", 460), number=16
    ),
    "1xx without end": Attack(_repeat(b"", b"HTTP/1.1 100 C\r\n\r\n" * 4000, 400)),
    "chunks of one byte": Attack(_repeat(CHUNKED, b"1\r\nx\r\n" * 10_000, 200)),
    "gzip below the cap": Attack(
        _page(_compressed(10_000_000), b"Content-Encoding: gzip\r\n"), number=60
    ),
    "big pages that drip": Attack(
        _repeat(HEAD + b"Content-Length: 9000000\r\n\r\n" + _BIG[:500_000], b"x" * 200, 60, 0.1)
    ),
    "junk behind gzip": Attack(
        _repeat(
            HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(TITLE),
            bytes(CHUNK_BYTES),
            3500,
        ),
        number=4,
    ),
    "1,200 hosts": Attack(_page(TITLE, b"Connection: keep-alive\r\n"), number=1200, hosts=1200),
    "deep nesting": Attack(_page(TITLE + b"<div>" * 300_000)),
    "deeper than it looks": Attack(_page(TITLE + b"<div></x>" * 200_000)),
    "end tags of nothing": Attack(_page(TITLE + b"<a>" + b"<div>" * 7000 + b"</a>" * 6800)),
    "JSON-LD of many objects": Attack(_page(TITLE + _SCRIPT)),
    "an encoding without sense": Attack(
        _raw(
            HEAD.replace(b"html", b"html; charset=big5")
            + b"\r\n"
            + TITLE
            + (b"\xff" * 6000 + b"<p>") * 10
        )
    ),
    "references to one author": Attack(
        _page(
            TITLE
            + b'<script type=application/ld+json>[{"@id":"#a","@type":"Person","x":1,"name":"'
            + b"&amp;" * 1400
            + b'<a>"}'
            + (b',{"@type":"Article","author":[' + b'{"@id":"#a"},' * 49 + b'{"@id":"#a"}]}') * 45
            + b"]</script>"
        )
    ),
    "digits of a refresh": Attack(
        _page(TITLE + b'<meta http-equiv=refresh content="' + b"9" * 8000 + b'x">')
    ),
    "instructions before XML": Attack(
        _raw(HEAD.replace(b"text/html", b"text/xml") + b"\r\n" + b"<?a?>" * 280 + b"x" * 2000)
    ),
    "deflate that yields nothing": Attack(
        _repeat(
            HEAD
            + b"Content-Encoding: gzip\r\n\r\n"
            + zlib.compressobj(9, zlib.DEFLATED, 31).flush(zlib.Z_FULL_FLUSH),
            b"\0\0\0\xff\xff" * 12_000,
            200,
        )
    ),
}
