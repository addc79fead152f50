"""Decode Content-Encoding with a limit on the decoded size.

HTTP clients that decode automatically have no such limit: a few hundred bytes can become
hundreds of megabytes in one step. Only the codings offered in Accept-Encoding are decoded,
and only one layer.
"""

import zlib
from typing import Protocol

from parser_service.exceptions import BadContentEncodingError, TooLargeError

ACCEPT_ENCODING = "gzip, deflate"


class Decoder(Protocol):
    """Decode a body piece by piece, each within a limit."""

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Decode the next piece.

        Raises:
            TooLargeError: it decodes to more than `max_bytes` bytes.
            BadContentEncodingError: it is not in the coding.
        """

    def check_complete(self) -> None:
        """Check, at the end of the body, that the coding has ended as well.

        Raises:
            BadContentEncodingError: it has not.
        """


def decoder_for(content_encoding: str) -> Decoder:
    """Return the decoder for a Content-Encoding header.

    Raises:
        BadContentEncodingError: it names a coding that was not offered, or more than one.
    """
    codings = [c for c in (c.strip().lower() for c in content_encoding.split(",")) if c]
    match codings:
        case [] | ["identity"]:
            return _Identity()
        case ["gzip" | "x-gzip"]:
            return _Inflater(zlib.MAX_WBITS | 16)
        case ["deflate"]:
            return _Inflater(zlib.MAX_WBITS)
        case _:
            raise BadContentEncodingError


class _Identity:
    def feed(self, data: bytes, max_bytes: int) -> bytes:
        if len(data) > max_bytes:
            raise TooLargeError
        return data

    def check_complete(self) -> None:
        pass


class _Inflater:
    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflate = zlib.decompressobj(wbits)
        self._has_begun = False

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        if not self._has_begun and data:
            self._has_begun = True
            # Some servers send raw deflate for "deflate", which means zlib's format.
            if self._wbits == zlib.MAX_WBITS and not _has_zlib_header(data):
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        if self._inflate.eof:
            # Browsers also drop what follows the end.
            return b""
        try:
            out = self._inflate.decompress(data, max_bytes + 1)
        except zlib.error:
            raise BadContentEncodingError from None
        if len(out) > max_bytes:
            raise TooLargeError
        return out

    def check_complete(self) -> None:
        if self._has_begun and not self._inflate.eof:
            raise BadContentEncodingError("The compressed page ended early.", retryable=True)


def _has_zlib_header(data: bytes) -> bool:
    """Check for RFC 1950, 2.2: method 8, and a checksum over both bytes once both are known."""
    if data[0] & 0x0F != 8:
        return False
    return len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0
