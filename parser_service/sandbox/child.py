"""Parse pages for `pool.py` in a process of its own, within limits on time and memory.

Run as `python -m parser_service.sandbox.child`. It reads requests from standard input and
writes answers to standard output: four bytes of length, then a pickle. An answer is the
parsed page, None if memory ran out, or a text that describes another failure.
"""

import ctypes
import pickle
import resource
import signal
import sys
from typing import BinaryIO

from selectolax.lexbor import SelectolaxError

from parser_service.parser import ParsedPage, RawPage, parse

MAX_ADDRESS_SPACE_BYTES = 400 * 1024 * 1024
PARSE_ALARM_SECONDS = 10


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while header := requests.read(4):
        page: RawPage = pickle.loads(requests.read(int.from_bytes(header)))  # noqa: S301 - our parent
        # The parent kills a child that takes too long; this alarm ends one without a parent.
        signal.alarm(PARSE_ALARM_SECONDS)
        answer: ParsedPage | str | None
        try:
            answer = parse(page)
        except (MemoryError, SelectolaxError):  # lexbor fails for lack of memory only
            answer = None
        except Exception as error:  # noqa: BLE001 - the parent decides
            answer = repr(error)
        signal.alarm(0)
        written = pickle.dumps(answer)
        answers.write(len(written).to_bytes(4) + written)
        answers.flush()


def main() -> None:
    """Set limits on this process, then serve its parent."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the parent
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES))
    # The parent decides when a child stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
