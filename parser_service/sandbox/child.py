"""A process that parses pages for `parse_pool.py`, within limits on time and memory.

Run as `python -m parser_service.sandbox.child`. It reads requests from its standard input
and writes answers to its standard output: four bytes of length, then a pickle. An answer
is the facts, None where the memory did not suffice, or a text where something else failed.
"""

import ctypes
import pickle
import resource
import signal
import sys
from typing import BinaryIO

from selectolax.lexbor import SelectolaxError

from parser_service.parser import ParsedPage, RawPage, parse

MAX_MEMORY = 768 * 1024 * 1024
MAX_SECONDS = 10


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while header := requests.read(4):
        page: RawPage = pickle.loads(requests.read(int.from_bytes(header)))  # noqa: S301 - our parent
        # The parent kills what takes too long; this ends what outlives its parent.
        signal.alarm(MAX_SECONDS)
        answer: ParsedPage | str | None
        try:
            answer = parse(page)
        except (MemoryError, SelectolaxError):  # lexbor fails on nothing but memory
            answer = None
        except Exception as error:  # noqa: BLE001 - the parent decides
            answer = repr(error)
        signal.alarm(0)
        written = pickle.dumps(answer)
        answers.write(len(written).to_bytes(4) + written)
        answers.flush()


def main() -> None:
    """The process's entry."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: not without its parent
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    # A stop of the service is the parent's affair.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
