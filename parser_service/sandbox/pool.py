"""Parse each page where `triage.py` says: on the event loop, in a thread, or in a child.

A child that exceeds its time is killed; lexbor cannot be interrupted.
"""

import asyncio
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from codecs import getincrementaldecoder
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from time import thread_time
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import structlog

from parser_service import metrics
from parser_service.exceptions import FetchTimeoutError, InternalError, TooLargeError
from parser_service.parser import ParsedPage, RawPage, parse
from parser_service.sandbox.triage import ParseLocation, choose_parse_location
from parser_service.sandbox.turns import LoopTurns, SlowSites

MAX_PAGE_BYTES_TO_KEEP_CHILD = 1024 * 1024
"""Bytes of a page after which its child is not kept: it may have grown by hundreds of MB."""

PIECE_BYTES = 256 * 1024
"""Bytes that are written to a child, or read of its answer, in one turn of the event loop."""
MAX_CHILDREN = 2
"""Children at a time. The pages of one site are parsed in one of them, so that a site whose pages
take long leaves the other to its neighbours."""
CHILD_PARSE_TIMEOUT_SECONDS = 5.0
"""Seconds that a child may take for one page; the page's own deadline may come first."""
CHILD_IDLE_SECONDS = 60.0
"""Seconds after which a child without a page ends."""

MAX_HARMFUL_SITES = 100
"""Sites that are remembered because a page of theirs ended a child."""

log = structlog.get_logger()


class ParseRunner:
    """Parse pages within bounds; child processes start on first use and end when idle."""

    def __init__(self) -> None:
        self._child_slots = asyncio.Semaphore(MAX_CHILDREN)
        # In use by a page that is parsed or waits: there are no more sites than pages in flight.
        self._slot_of_site: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._idle: list[_Child] = []
        # Sites whose pages ended a child. They start their own, and leave those that wait.
        self._harmful: OrderedDict[str, None] = OrderedDict()
        self._children: set[_Child] = set()
        self._kills: set[asyncio.Future[None]] = set()
        self._turns = LoopTurns()
        self._slow_sites = SlowSites()

    async def parse(self, page: RawPage) -> ParsedPage:
        """Parse a page.

        Raises:
            FetchTimeoutError: it takes too long.
            TooLargeError: its markup takes too much memory.
            InternalError: the parser failed on it.
        """
        location = choose_parse_location(page)
        if location is ParseLocation.INLINE and _site(page) in self._slow_sites:
            location = ParseLocation.CHILD
        match location:
            case ParseLocation.INLINE:
                await self._turns.wait()
                return self._parse_here(page)
            case ParseLocation.THREAD:
                return await asyncio.to_thread(parse, page, is_shallow=True)
            case ParseLocation.CHILD:
                async with self._own_slot(page), self._child_slots:
                    return await self._parse_in_child(page)

    async def close(self) -> None:
        """Kill all children."""
        self._idle.clear()
        await asyncio.gather(*(child.kill() for child in tuple(self._children)))

    def _parse_here(self, page: RawPage) -> ParsedPage:
        started = thread_time()
        try:
            # Where triage lets a page be parsed here, it has at most `MAX_START_TAGS`.
            return parse(page, is_shallow=True)
        finally:
            seconds = thread_time() - started
            self._turns.note(seconds)
            self._slow_sites.note(_site(page), seconds)

    def _own_slot(self, page: RawPage) -> asyncio.Lock:
        return self._slot_of_site.setdefault(_site(page), asyncio.Lock())

    async def _parse_in_child(self, page: RawPage) -> ParsedPage:
        may_reuse = self._idle and _site(page) not in self._harmful
        child = self._idle.pop() if may_reuse else await self._start_child()
        try:
            async with asyncio.timeout(CHILD_PARSE_TIMEOUT_SECONDS):
                facts = await child.parse(page)
        except TimeoutError:
            metrics.CHILD_FAILED.inc()
            self._note_harm(page)
            await self._kill(child)
            raise FetchTimeoutError("The page takes too long to parse.", retryable=False) from None
        except BaseException:
            metrics.CHILD_FAILED.inc()
            self._note_harm(page)
            await self._kill(child)
            raise
        metrics.CHILD_PARSED.inc()
        self._harmful.pop(_site(page), None)
        if len(page.body) > MAX_PAGE_BYTES_TO_KEEP_CHILD or len(self._idle) >= MAX_CHILDREN:
            await self._kill(child)
        else:
            self._return_to_idle(child)
        return facts

    def _note_harm(self, page: RawPage) -> None:
        self._harmful[_site(page)] = None
        self._harmful.move_to_end(_site(page))
        if len(self._harmful) > MAX_HARMFUL_SITES:
            self._harmful.popitem(last=False)

    async def _start_child(self) -> "_Child":
        child = await _Child.start()
        self._children.add(child)
        return child

    async def _kill(self, child: "_Child") -> None:
        await child.kill()
        self._children.discard(child)

    def _return_to_idle(self, child: "_Child") -> None:
        self._idle.append(child)
        loop = asyncio.get_running_loop()
        loop.call_later(CHILD_IDLE_SECONDS, self._kill_if_still_idle, child, child.parse_count)

    def _kill_if_still_idle(self, child: "_Child", parse_count: int) -> None:
        if child in self._idle and child.parse_count == parse_count:
            self._idle.remove(child)
            kill = asyncio.ensure_future(self._kill(child))
            self._kills.add(kill)
            kill.add_done_callback(self._kills.discard)


async def _read_text(stream: asyncio.StreamReader) -> str:
    left = int.from_bytes(await stream.readexactly(4))
    decoder = getincrementaldecoder("utf-8")()
    pieces: list[str] = []
    while left:
        piece = await stream.readexactly(min(left, PIECE_BYTES))
        pieces.append(decoder.decode(piece))
        left -= len(piece)
    return "".join(pieces)


def _site(page: RawPage) -> str:
    return urlsplit(page.url).hostname or ""


class _Child:
    """Run a process that parses one page at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.parse_count = 0

    @classmethod
    async def start(cls) -> "_Child":
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "parser_service.sandbox.child"), stdin=PIPE, stdout=PIPE
            )
        )

    async def parse(self, page: RawPage) -> ParsedPage:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin  # noqa: S101 - both were requested in `start`
        assert stdout  # noqa: S101
        request = pickle.dumps(replace(page, body=b""))
        try:
            stdin.write(len(request).to_bytes(4) + request + len(page.body).to_bytes(4))
            # Large parts go piece by piece, so that the event loop turns between them.
            for start in range(0, len(page.body), PIECE_BYTES):
                stdin.write(page.body[start : start + PIECE_BYTES])
                await stdin.drain()
            length = int.from_bytes(await stdout.readexactly(4))
            answer = pickle.loads(await stdout.readexactly(length))  # noqa: S301 - our own child
            html = await _read_text(stdout)
        except (ConnectionError, asyncio.IncompleteReadError):
            log.warning("parse process ended", status=await self._process.wait())
            raise TooLargeError(
                "The page's markup takes more memory than this service allows."
            ) from None
        self.parse_count += 1
        if answer is None:
            raise TooLargeError("The page's markup takes more memory than this service allows.")
        if not isinstance(answer, ParsedPage):
            log.error("parse process failed", error=answer)
            raise InternalError
        return replace(answer, html=html)

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
