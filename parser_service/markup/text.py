"""Clean text of runs of white space and of characters that cannot be stored."""

import re

_ASCII_WHITESPACE_RUNS = re.compile(r"[\t\n\x0c\r ]+")
_SURROGATES = re.compile("[\ud800-\udfff]")
MAX_NULS = 10_000
"""NULs of a text that is parsed as it is."""
_CHECKED_AT_ONCE = 256 * 1024
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def collapse_whitespace(text: str) -> str:
    """Strip and collapse ASCII whitespace (Infra Standard); other white space is text."""
    # Most texts have nothing but single blanks: those in white space that are printable.
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _ASCII_WHITESPACE_RUNS.sub(" ", text).strip(" ")


def without_many_nuls(text: str) -> str:
    """Return a text for the parser: each NUL takes it twenty bytes of memory.

    Nearly everywhere the parser puts U+FFFD in their place itself (HTML Standard, 13.2.5).
    """
    if text.count("\0") <= MAX_NULS:
        return text
    return text.replace("\0", _REPLACEMENT)


def make_storable_text(text: str) -> str:
    """Replace NUL and lone surrogates, which PostgreSQL's text cannot hold."""
    # Pages may consist of NUL, for each of which a regular expression takes a hundred bytes.
    text = text.replace("\0", _REPLACEMENT)
    try:
        for start in range(0, len(text), _CHECKED_AT_ONCE):
            text[start : start + _CHECKED_AT_ONCE].encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub(_REPLACEMENT, text)
    return text
