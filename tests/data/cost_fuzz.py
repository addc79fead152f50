"""Search for pages that cost much for their length: processor time, and memory.

    python -m tests.data.cost_fuzz [SECONDS] [SEED]

Structured pages are made of parts, and mutated; a mutant is kept if it costs more for each of its
bytes than its parent. The worst pages of each kind are reported with their parts. Only what is
parsed on the event loop counts: children have limits, and threads do not hold the loop up.

Times are the processor's own, and are compared with that of a fixed piece of work, so that the
bound means the same on a slow machine. It fails where a page costs more than `LIMIT_SECONDS`.
"""

import random
import signal
import sys
import tracemalloc
from dataclasses import dataclass, replace
from time import monotonic, process_time

from parser_service.fetching.inflate import decoder_for
from parser_service.fetching.response_head import find_end, mend
from parser_service.fetching.robots_text import reduce_to_groups_of
from parser_service.markup import content_type
from parser_service.markup.content_type import Markup
from parser_service.parser import RawPage, parse
from parser_service.sandbox.triage import (
    MAX_INLINE_BYTES,
    ParseLocation,
    choose_parse_location,
)

LIMIT_SECONDS = 0.050
ALARM_SECONDS = 5
LIMIT_MEMORY_PER_BYTE = 400
"""Bytes of Python's memory for each byte of a page of `MIN_BYTES_FOR_MEMORY` or more."""
MIN_BYTES_FOR_MEMORY = 8 * 1024
UNIT_SECONDS = 0.010
"""Seconds that `_unit` takes on a quiet machine like those that the limits are for."""

HTML = (
    *(b"<div>", b"</div>", b"<p>", b"</p>", b"<b a%d>", b"</b>", b"<a href=x%d>", b"</a>", b"</x>"),
    *(b"<table>", b"<tr><td>", b"<select>", b"<option>", b"<svg>", b"<title>", b"<template>"),
    *(b"<html a%d=b>", b"<body c%d=d>", b"<li>", b"<button>", b"<h1>", b"<span>", b"<nobr>"),
    *(b"<meta name=author content='By A B'>", b"<meta property='og:%d og:a%d' content='%d'>"),
    *(b"<time datetime=2024-01-02>", b"<i rel=author class=byline>A B", b"<p class=date>1/2/2024 "),
    *(b"<link rel=icon href=%d>", b"<base href=a>", b"<meta http-equiv=refresh content='", b"'>"),
    *(b"x ", b"\0", b"&notin", b"&#1;", b"9", b" ", b"=", b"'", b'"', b"<", b">", b"<!--", b"-->"),
    *(b" a%d", b" a%d='>'", b"\xff", b"\x81", b"\xad\xa1", b"\x1b$B", b"<![CDATA["),
)
JSON = (
    *(b"{", b"}", b"[", b"]", b",", b'"', b":", b'{"@id":%d},', b'{"author":{"name":"By A, B"}},'),
    *(b'"a%d":', b"1", b"1e9", b"\\u", b"\\q", b"/*", b"//", b"<!--", b"&amp;", b" ", b'">",'),
)
HEADERS = (b"a: b\r\n", b" c\r\n", b"Content-Length: 1\r\n", b"x\r\n", b"a :\r\n", b":", b";", b",")
TYPES = (b"<?a?>", b"<!--", b"-->", b"<!DOCTYPE a[]>", b"<html ", b"xmlns", b"=", b"<?", b" ", b";")
ROBOTS = (b"User-agent: *\n", b"User-agent: %d\n", b"Disallow: /*a*b%d\n", b"#", b" ", b"\n")
PARTS = {
    "html": HTML,
    "json-ld": JSON,
    "headers": HEADERS,
    "types": TYPES,
    "robots": ROBOTS,
    "compression": tuple(bytes([n]) * 50 for n in (0, 255, 31, 139, 8)),
}
CHARSETS = (None, "utf-8", "big5", "euc-jp", "gbk", "utf-16le", "iso-2022-jp", "windows-1252")
_SCRIPT = b"<title>t</title><script type=application/ld+json>%b</script>"


@dataclass(frozen=True)
class Candidate:
    """Describe a page by its parts, each with the number of times it comes; it is its reproducer.

    Attributes:
        kind: of `PARTS`.
    """

    kind: str
    parts: tuple[tuple[bytes, int], ...]
    charset: str | None = None

    def body(self) -> bytes:
        """Write the page; a number takes the place of each `%d`."""
        written = bytearray()
        for part, times in self.parts:
            for number in range(times):
                written += part.replace(b"%d", b"%d" % number)
                if len(written) > MAX_INLINE_BYTES:
                    return bytes(written[:MAX_INLINE_BYTES])
        return bytes(written)


@dataclass(frozen=True)
class Cost:
    """Hold what a candidate cost.

    Attributes:
        seconds: of a quiet machine's processor, on the event loop.
        memory: bytes that Python took at most, for each byte of the page.
        length: bytes of the page.
    """

    seconds: float
    memory: float
    length: int

    @property
    def per_byte(self) -> float:
        """Seconds for each byte; short pages cost a fixed part, which is not of interest."""
        return self.seconds / max(self.length, 2000)


def work_on(candidate: Candidate) -> int:
    """Do on one page what the event loop does, and return its length."""
    body = candidate.body()
    match candidate.kind:
        case "headers":
            head = b"HTTP/1.1 200 OK\r\n" + body + b"\r\n\r\n"
            mend(head[: find_end(head, 0)])
            content_type.extract([body.decode("latin-1")])
        case "types":
            content_type.markup_of(content_type.ContentType("text/xml"), body[:1445])
        case "robots":
            reduce_to_groups_of("parser", body.decode("latin-1"))
        case "compression":
            try:
                for _ in decoder_for("gzip").decode(b"\x1f\x8b\x08\0\0\0\0\0\0\3" + body):
                    pass
            except Exception:  # noqa: BLE001 - what is wrong with it is not of interest
                pass
        case _:
            whole = _SCRIPT % body[:-100] if candidate.kind == "json-ld" else body
            page = RawPage(whole, Markup.HTML, "https://example.com/", candidate.charset)
            if choose_parse_location(page) is ParseLocation.INLINE:
                parse(page)
    return len(body)


def measure(candidate: Candidate, speed: float) -> Cost:
    """Measure a candidate: its time first, then its memory, which slows it down."""
    started = process_time()
    signal.alarm(ALARM_SECONDS)
    try:
        length = work_on(candidate)
    except AssertionError as error:
        raise AssertionError(f"{error}: {candidate}") from None
    finally:
        signal.alarm(0)
    seconds = (process_time() - started) * speed
    if seconds > LIMIT_SECONDS:  # was the machine disturbed? the least of three counts
        for _ in range(2):
            started = process_time()
            work_on(candidate)
            seconds = min(seconds, (process_time() - started) * speed)
    memory = 0.0
    if length >= MIN_BYTES_FOR_MEMORY and seconds < LIMIT_SECONDS:
        tracemalloc.start()
        work_on(candidate)
        memory = tracemalloc.get_traced_memory()[1] / length
        tracemalloc.stop()
    return Cost(seconds, memory, length)


def made(kind: str, chance: random.Random) -> Candidate:
    """Return a random candidate of a kind."""
    parts = tuple(
        (chance.choice(PARTS[kind]), chance.choice((1, 1, 10, 500, 3000, 20_000)))
        for _ in range(chance.randint(1, 5))
    )
    return Candidate(kind, parts, chance.choice(CHARSETS))


def mutated(parent: Candidate, chance: random.Random) -> Candidate:
    """Return a candidate that differs a little."""
    parts = list(parent.parts)
    at = chance.randrange(len(parts))
    part, times = parts[at]
    match chance.randrange(5):
        case 0:
            parts[at] = part, max(1, int(times * chance.choice((0.5, 1.5, 2, 10))))
        case 1:
            parts[at] = chance.choice(PARTS[parent.kind]), times
        case 2:
            parts[at] = part + chance.choice(PARTS[parent.kind]), times
        case 3:
            parts.insert(at, (chance.choice(PARTS[parent.kind]), chance.choice((1, 100, 5000))))
        case _:
            return replace(parent, charset=chance.choice(CHARSETS))
    return replace(parent, parts=tuple(parts[:8]))


def _end_endless_work(*_: object) -> None:
    raise AssertionError(f"a page takes more than {ALARM_SECONDS} s")


def search(seconds: float, seed: int) -> dict[str, tuple[Cost, Candidate]]:
    """Climb for `seconds`, a while on each kind, and return the worst page of each.

    Raises:
        AssertionError: a page costs more than the limits.
    """
    chance = random.Random(seed)
    signal.signal(signal.SIGALRM, _end_endless_work)
    speed = UNIT_SECONDS / min(_unit() for _ in range(7))
    worst: dict[str, tuple[Cost, Candidate]] = {}
    end = monotonic() + seconds
    while monotonic() < end:
        kind = chance.choice((*PARTS, "html", "html", "json-ld"))
        best = made(kind, chance)
        cost = measure(best, speed)
        for _ in range(40):
            _require_within_limits(cost, best, seed)
            if kind not in worst or cost.seconds > worst[kind][0].seconds:
                worst[kind] = cost, best
            candidate = mutated(best, chance)
            found = measure(candidate, speed)
            if found.per_byte > cost.per_byte or found.memory > cost.memory * 1.2:
                best, cost = candidate, found
    return worst


def _require_within_limits(cost: Cost, candidate: Candidate, seed: int) -> None:
    told = f"(seed {seed}): {candidate}"
    assert cost.seconds <= LIMIT_SECONDS, f"{cost.seconds * 1000:.0f} ms {told}"
    assert cost.memory <= LIMIT_MEMORY_PER_BYTE, f"{cost.memory:.0f} bytes a byte {told}"


def _unit() -> float:
    """Do a fixed piece of the work that pages cause, and return the time that it took."""
    started = process_time()
    page = RawPage(b"<p class=a>word <b>x</b></p>" * 1500, Markup.HTML, "https://example.com/")
    for _ in range(2):
        parse(page)
    sum(len(str(number)) for number in range(20_000))
    return process_time() - started


def main(arguments: list[str]) -> None:
    """Search as the arguments say, and print the worst pages."""
    seconds = float(arguments[0]) if arguments else 60.0
    given = arguments[1] if len(arguments) > 1 else ""
    seed = int(given) if given else random.SystemRandom().randrange(2**32)
    print(f"costs: seed {seed}, {seconds:g} s", flush=True)
    for kind, (cost, candidate) in sorted(search(seconds, seed).items()):
        figures = f"{cost.seconds * 1000:.1f} ms, {cost.length} bytes, {cost.memory:.0f} a byte"
        print(f"  {kind}: {figures}: {candidate}")


if __name__ == "__main__":
    main(sys.argv[1:])
