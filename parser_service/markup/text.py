"""Clean text of runs of white space and of characters that cannot be stored."""

import re

_ASCII_WHITESPACE_RUNS = re.compile(r"[\t\n\x0c\r ]+")
_UNSTORABLE_CHARACTERS = re.compile("[\0\ud800-\udfff]")


def collapse_whitespace(text: str) -> str:
    """Strip and collapse ASCII whitespace (Infra Standard); other white space is text."""
    # Most texts have nothing but single blanks: those in white space that are printable.
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _ASCII_WHITESPACE_RUNS.sub(" ", text).strip(" ")


def make_storable_text(text: str) -> str:
    """Replace NUL and lone surrogates, which PostgreSQL's text cannot hold."""
    if "\0" not in text:  # these two checks take a fraction of the substitution's time
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _UNSTORABLE_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", text)
