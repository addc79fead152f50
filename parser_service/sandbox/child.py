"""Parse pages for `pool.py` in a process of its own, within limits on time and memory.

Run as `python -m parser_service.sandbox.child`. It reads requests from standard input and
writes answers to standard output. Each consists of two parts: four bytes of length, then a pickle,
and the same of plain bytes, which the parent can read piece by piece: the body of the page that is
asked about, the HTML of the page that is the answer. An answer is the parsed page, None if memory
ran out, or a text that describes another failure.
"""

import ctypes
import os
import pickle
import resource
import signal
import sys
from dataclasses import replace
from typing import BinaryIO

from selectolax.lexbor import SelectolaxError

from parser_service.parser import ParsedPage, RawPage, parse

MAX_ADDRESS_SPACE_BYTES = 400 * 1024 * 1024
"""Bytes that a child may have, whatever the page is."""
OWN_BYTES = 64 * 1024 * 1024
BYTES_PER_PAGE_BYTE = 32
"""What a page may add: as much as pages of its length need, so that short ones take little."""
PARSE_ALARM_SECONDS = 10
NICENESS = 5
"""Steps behind the event loops, which serve the pages that take little."""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while header := requests.read(4):
        resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES))
        rest: RawPage = pickle.loads(requests.read(int.from_bytes(header)))  # noqa: S301 - our parent
        page = replace(rest, body=requests.read(int.from_bytes(requests.read(4))))
        # The parent kills a child that takes too long; this alarm ends one without a parent.
        signal.alarm(PARSE_ALARM_SECONDS)
        _limit_memory(page)
        answer: ParsedPage | str | None
        try:
            answer = parse(page)
        except (MemoryError, SelectolaxError):  # lexbor fails for lack of memory only
            answer = None
        except Exception as error:  # noqa: BLE001 - the parent decides
            answer = repr(error)
        del page
        try:
            parts = _parts_of(answer)
        except MemoryError:
            parts = _parts_of(None)
        signal.alarm(0)
        for part in parts:
            answers.write(len(part).to_bytes(4))
            answers.write(part)
        answers.flush()


def _parts_of(answer: ParsedPage | str | None) -> tuple[bytes, bytes]:
    if not isinstance(answer, ParsedPage):
        return pickle.dumps(answer), b""
    return pickle.dumps(replace(answer, html="")), answer.html.encode()


def _limit_memory(page: RawPage) -> None:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib takes three times as long
        now = int(file.read().split()[0]) * resource.getpagesize()
    limit = now + OWN_BYTES + BYTES_PER_PAGE_BYTE * len(page.body)
    resource.setrlimit(
        resource.RLIMIT_AS, (min(limit, MAX_ADDRESS_SPACE_BYTES), MAX_ADDRESS_SPACE_BYTES)
    )


def main() -> None:
    """Set limits on this process, then serve its parent."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the parent
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES))
    os.nice(NICENESS)
    # The parent decides when a child stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
