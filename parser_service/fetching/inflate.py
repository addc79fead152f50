"""Decode Content-Encoding in small pieces, so that the caller can stop.

HTTP clients that decode automatically do not let it: a few hundred bytes can become hundreds of
megabytes in one step. Only the codings offered in Accept-Encoding are decoded,
and only one layer.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

from parser_service.exceptions import BadContentEncodingError

ACCEPT_ENCODING = "gzip, deflate"
PIECE_BYTES = 64 * 1024
"""Bytes of a decoded piece, at most."""
MAX_GZIP_MEMBERS = 1000
"""Members of one gzip stream: each costs time, also if it decodes to nothing."""

_GZIP = zlib.MAX_WBITS | 16
_GZIP_MAGIC = b"\x1f\x8b"
# The codings that IANA has registered; only the first three were offered.
_CODINGS = frozenset(
    {
        "gzip",
        "x-gzip",
        "deflate",
        "aes128gcm",
        "br",
        "compress",
        "dcb",
        "dcz",
        "exi",
        "pack200-gzip",
        "x-compress",
        "zstd",
    }
)


class Decoder(Protocol):
    """Decode a body piece by piece.

    Attributes:
        is_complete: the coding has ended; what follows is not part of the page.
    """

    is_complete: bool

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode what came next, lazily, into pieces of up to `PIECE_BYTES` if it was compressed.

        Raises:
            BadContentEncodingError: it is not in the coding.
        """

    def check_complete(self) -> None:
        """Check, at the end of the body, that the coding has ended as well.

        Raises:
            BadContentEncodingError: it has not.
        """


def decoder_for(content_encoding: str) -> Decoder:
    """Return the decoder for a Content-Encoding header.

    Words that name no coding, such as `none` or `UTF-8`, mean nothing to browsers either.

    Raises:
        BadContentEncodingError: it names a coding that was not offered, or more than one.
    """
    words = (word.strip().lower() for word in content_encoding.split(","))
    match [word for word in words if word in _CODINGS]:
        case []:
            return _Identity()
        case ["gzip" | "x-gzip"]:
            return _Inflater(_GZIP)
        case ["deflate"]:
            return _Inflater(zlib.MAX_WBITS)
        case _:
            raise BadContentEncodingError


class _Identity:
    is_complete = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        yield data

    def check_complete(self) -> None:
        pass


class _Inflater:
    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflate = zlib.decompressobj(wbits)
        self._has_begun = False
        self._members = 1
        self._between = b""
        self.is_complete = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data and not self.is_complete:
            if self._inflate.eof:
                data = self._begin_next_member(data)
                continue
            yield self._decompress(data)
            data = self._inflate.unconsumed_tail or self._inflate.unused_data

    def check_complete(self) -> None:
        if self._has_begun and not self._inflate.eof:
            raise BadContentEncodingError("The compressed page ended early.", retryable=True)

    def _decompress(self, data: bytes) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            # Some servers send raw deflate for "deflate", which means zlib's format.
            if self._wbits == zlib.MAX_WBITS and not _has_zlib_header(data):
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            out = self._inflate.decompress(data, PIECE_BYTES)
        except zlib.error:
            raise BadContentEncodingError from None
        if self._inflate.eof and self._wbits != _GZIP:
            self.is_complete = True
        return out

    def _begin_next_member(self, data: bytes) -> bytes:
        """Begin the next member of a gzip stream (RFC 1952, 2.2), if one follows."""
        data = self._between + data
        if not data.startswith(_GZIP_MAGIC[: len(data)]):
            self.is_complete = True  # something else follows: browsers also drop it
            return b""
        if len(data) < len(_GZIP_MAGIC):
            self._between = data
            return b""
        self._between = b""
        self._members += 1
        if self._members > MAX_GZIP_MEMBERS:
            raise BadContentEncodingError
        self._inflate = zlib.decompressobj(_GZIP)
        return data


def _has_zlib_header(data: bytes) -> bool:
    """Check for RFC 1950, 2.2: method 8, and a checksum over both bytes once both are known."""
    if data[0] & 0x0F != 8:
        return False
    return len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0
