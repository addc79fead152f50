"""Content-Encoding, undone with a limit on what comes out.

Automatic decoding in HTTP clients has no such limit: a few hundred bytes can become
hundreds of megabytes in one step. Only what is offered in Accept-Encoding is undone, and
only one layer of it.
"""

import zlib
from typing import Protocol

from parser_service.exceptions import BadEncodingError, TooLargeError

ACCEPT_ENCODING = "gzip, deflate"


class Decoder(Protocol):
    """Turns the pieces of an encoded body into at most `room` bytes each, or refuses."""

    def feed(self, data: bytes, room: int) -> bytes:
        """The next piece decoded.

        Raises:
            TooLargeError: it decodes to more than `room` bytes.
            BadEncodingError: it does not decode.
        """

    def finish(self) -> None:
        """The body has ended.

        Raises:
            BadEncodingError: its encoding has not.
        """


def decoder_for(content_encoding: str) -> Decoder:
    """The decoder for a Content-Encoding header.

    Raises:
        BadEncodingError: a coding that was not offered, or more than one.
    """
    codings = [c for c in (c.strip().lower() for c in content_encoding.split(",")) if c]
    match codings:
        case [] | ["identity"]:
            return _Identity()
        case ["gzip" | "x-gzip"]:
            return _Inflate(zlib.MAX_WBITS | 16)
        case ["deflate"]:
            return _Inflate(zlib.MAX_WBITS)
        case _:
            raise BadEncodingError


class _Identity:
    def feed(self, data: bytes, room: int) -> bytes:
        if len(data) > room:
            raise TooLargeError
        return data

    def finish(self) -> None:
        pass


class _Inflate:
    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflate = zlib.decompressobj(wbits)
        self._has_begun = False

    def feed(self, data: bytes, room: int) -> bytes:
        if not self._has_begun and data:
            self._has_begun = True
            # Some servers send raw deflate for "deflate"; zlib's own header has these marks.
            if self._wbits == zlib.MAX_WBITS and not _has_zlib_header(data):
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        if self._inflate.eof:
            # What follows the end is junk, which browsers drop too.
            return b""
        try:
            out = self._inflate.decompress(data, room + 1)
        except zlib.error:
            raise BadEncodingError from None
        if len(out) > room:
            raise TooLargeError
        return out

    def finish(self) -> None:
        if self._has_begun and not self._inflate.eof:
            raise BadEncodingError("The page's content encoding breaks off.", retryable=True)


def _has_zlib_header(data: bytes) -> bool:
    """RFC 1950, section 2.2: method 8, and a check over both bytes where both are here."""
    if data[0] & 0x0F != 8:
        return False
    return len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0
