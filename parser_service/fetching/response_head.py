"""Read heads of HTTP responses as leniently as browsers do, where that cannot mislead.

aiohttp's parser refuses a response for one header line that is none, or for one length that is
given twice. Browsers skip such a line and show the page. A head that is not clean is therefore
written anew for the parser, and the caller does not use its connection again: two readers who
understand a head differently are how one response is smuggled into another.
"""

import re

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_END = re.compile(rb"\n\r?\n")
_CLEAN = re.compile(rb"[^\r\n]*\r?\n(?:" + _TOKEN + rb":[^\r\n]*\r?\n)*\r?\n")
_NAME = re.compile(_TOKEN)
_BLANK = b" \t"
MAX_DIGITS = 20
MAX_LINES = 2500
"""Lines of a head that is mended; the parser refuses those with more as they are."""
_LENGTH = b"content-length"
_CODING = b"transfer-encoding"
_FRAMING = re.compile(rb"\n(content-length|transfer-encoding):[ \t]*([^\r\n]*)", re.IGNORECASE)
_WITHOUT_BODY = frozenset({b"204", b"304"})


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
    - A carriage return within a line is a blank.
    - Content-Length is given once if all its values are the same number. Two different ones stay,
      and the parser refuses them. One that is no number says nothing: the body ends with the
      connection.
    - Beside `Transfer-Encoding: chunked` it does not count (RFC 9112, 6.3); `identity` is none.
    """
    if _CLEAN.fullmatch(head) and _has_one_framing(head):
        return None
    if head.count(b"\n") > MAX_LINES:
        return None
    first, *lines = head.split(b"\n")
    mended = [first.rstrip(b"\r")]
    framing: dict[bytes, list[bytes]] = {_LENGTH: [], _CODING: []}
    for name, value in _fields(lines):
        if (values := framing.get(name.lower())) is not None:
            values += [one.strip(_BLANK) for one in value.split(b",")]
        else:
            mended.append(name + b": " + value)
    codings = [coding for coding in framing[_CODING] if coding.lower() not in (b"", b"identity")]
    if codings:
        mended.append(b"Transfer-Encoding: " + b", ".join(codings))
    else:
        mended += [b"Content-Length: " + length for length in _lengths(framing[_LENGTH])]
    return b"\r\n".join(mended) + b"\r\n\r\n"


def body_length(head: bytes) -> int | None:
    """Return how long the body is that a head announces; None if it ends otherwise.

    Args:
        head: as `mend` leaves it.
    """
    if head.partition(b" ")[2][:3] in _WITHOUT_BODY:
        return 0
    found = _FRAMING.findall(head)
    if len(found) != 1 or found[0][0].lower() != _LENGTH or not found[0][1].isdigit():
        return None
    return int(found[0][1][:MAX_DIGITS])


def _has_one_framing(head: bytes) -> bool:
    found = _FRAMING.findall(head)
    if not found:
        return True
    name, value = found[0]
    is_plain = value.isdigit() if name.lower() == _LENGTH else value.lower() != b"identity"
    return len(found) == 1 and is_plain


def _lengths(values: list[bytes]) -> list[bytes]:
    numbers = [value for value in values if value.isdigit()]
    if len(numbers) < len(values):
        return [] if not numbers else values
    return numbers[:1] if len(set(numbers)) == 1 else numbers


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
    return [(name, b" ".join(values).replace(b"\r", b" ")) for name, values in fields]
