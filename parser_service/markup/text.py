"""Text as facts hold it: without runs of white space, and storable."""

import re

_ASCII_WHITESPACE = re.compile(r"[\t\n\x0c\r ]+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def collapse(text: str) -> str:
    """Infra Standard, "strip and collapse ASCII whitespace"; other white space is text."""
    return _ASCII_WHITESPACE.sub(" ", text).strip(" ")


def storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor half a surrogate pair."""
    if "\0" not in text:  # this and the next take a fraction of the time
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
