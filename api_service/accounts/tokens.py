"""Make and read tokens: a prefix that says what it is, random characters, and their checksum.

The prefix lets secret scanners find a token that leaked. The checksum refuses what was mistyped or
made up before anything asks the database. Only a token's SHA-256 is stored: it has over 190 random
bits, so a slow hash would add nothing.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from enum import StrEnum

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARACTERS = 32
CHECKSUM_CHARACTERS = 6  # 62**6 is above 2**32
_TOKEN = re.compile(r"(pps|ppk)_([0-9A-Za-z]{32})([0-9A-Za-z]{6})")


class TokenKind(StrEnum):
    """Name the kinds of tokens by their prefix."""

    SESSION = "pps"
    KEY = "ppk"


@dataclass(frozen=True, slots=True)
class Token:
    """A token whose checksum is right; whether it is valid, only the database knows.

    Attributes:
        digest: its SHA-256.
    """

    kind: TokenKind
    digest: bytes = field(repr=False)


def make_token(kind: TokenKind) -> str:
    """Make a new token."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return f"{kind}_{body}{_checksum(kind, body)}"


def read_token(text: str) -> Token | None:
    """Read a token; return None for anything else, of whatever length."""
    found = _TOKEN.fullmatch(text)
    if found is None or _checksum(found[1], found[2]) != found[3]:
        return None
    return Token(TokenKind(found[1]), digest_of(text))


def digest_of(text: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(text.encode("ascii")).digest()


def _checksum(kind: str, body: str) -> str:
    number = zlib.crc32(f"{kind}_{body}".encode("ascii"))
    digits = []
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
