"""Read heads of HTTP responses as leniently as browsers do, where that cannot mislead.

aiohttp's parser refuses a response for one header line that is none, or for one length that is
given twice. Browsers skip such a line and show the page. A head that is not clean is therefore
written anew for the parser, and the caller does not use its connection again: two readers who
understand a head differently are how one response is smuggled into another.
"""

import re

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_END = re.compile(rb"\n\r?\n")
_CLEAN = re.compile(rb"[^\n]*\n(?:" + _TOKEN + rb":[^\n]*\n)*\r?\n")
_NAME = re.compile(_TOKEN)
_BLANK = b" \t"
MAX_LINES = 4000
"""Lines of a head that is mended; the parser refuses those with more as they are."""
_LENGTH = b"content-length"


def find_end(data: bytes | bytearray, start: int) -> int:
    """Return where the body begins, or -1 if the head has not ended yet.

    Args:
        data: the beginning of a response.
        start: bytes of it that were searched before.
    """
    found = _END.search(data, max(0, start - 2))
    return found.end() if found else -1


def is_informational(head: bytes) -> bool:
    """Return whether another head follows: 1xx, but for 101, after which HTTP ends."""
    _, _, status = head[:12].partition(b" ")
    return status[:1] == b"1" and status[:3] != b"101"


def mend(head: bytes) -> bytes | None:
    """Return a head as browsers read it, or None if it needs no mending.

    - Lines that continue the line before are joined to it; lines without a name are dropped.
    - Blanks between a name and its colon are dropped.
    - Content-Length is given once if all its values are the same number. Two different ones stay,
      and the parser refuses them.
    """
    if _CLEAN.fullmatch(head) and head.lower().count(b"\n" + _LENGTH) < 2:
        return None
    if head.count(b"\n") > MAX_LINES:
        return None
    first, *lines = head.split(b"\n")
    mended = [first.rstrip(b"\r")]
    lengths: list[bytes] = []
    for name, value in _fields(lines):
        if name.lower() == _LENGTH:
            lengths += [one.strip(_BLANK) for one in value.split(b",")]
        else:
            mended.append(name + b": " + value)
    if len(set(lengths)) == 1:
        lengths = lengths[:1]
    mended += [b"Content-Length: " + length for length in lengths]
    return b"\r\n".join(mended) + b"\r\n\r\n"


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    fields: list[tuple[bytes, list[bytes]]] = []
    for raw in lines:
        line = raw.rstrip(b"\r")
        if line[:1] in (b" ", b"\t"):
            if fields:
                fields[-1][1].append(line.strip(_BLANK))
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip(_BLANK)
        if colon and _NAME.fullmatch(name):
            fields.append((name, [value.strip(_BLANK)]))
    return [(name, b" ".join(values)) for name, values in fields]
