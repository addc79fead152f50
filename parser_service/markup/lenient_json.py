"""Parse JSON as people write it by hand or with templates, where its meaning is plain.

1. Take it as JSON that may have line breaks inside strings.
2. If that fails, drop comments, what hides scripts from old browsers, and commas too many.
3. If that fails too, drop the backslash of escapes that JSON does not have.
"""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from itertools import islice
from typing import Any

MAX_VALUES = 50
"""Values that are read of one text."""

# Each pattern reads on to the end if something is not closed, so that none is read twice.
_STRING = r'(?P<string>"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z))'
_HIDING = r"(?:(?://|/\*)[ \t]*+)?(?:<!\[CDATA\[|\]\]>)(?:[ \t]*+\*/)?|<!--|-->"
_COMMENT_OF_HTML = r"<!--(?:[^{\[<-]|-(?!->))*+-->"
_COMMENT = r"/\*(?:.*?\*/|.*)|//[^\n\r]*+"
_NOT_JSON = re.compile(f"{_STRING}|{_COMMENT_OF_HTML}|{_HIDING}|{_COMMENT}", re.DOTALL)
_EXTRA_COMMA = re.compile(rf"{_STRING}|,(?=\s*+[,\]}}])", re.DOTALL)
_WRONG_ESCAPE = re.compile(r'(?P<right>(?:\\(?:u[0-9A-Fa-f]{4}|["\\/bfnrt]))++)|\\')
_BETWEEN_VALUES = re.compile(r"[\s;,]*+")
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


def values(text: str) -> list[Any]:
    """Return the JSON values of a text, mostly one; none if it is not JSON.

    The time is proportional to the length of the text.
    """
    for repair in (_unchanged, _without_extras, _without_wrong_escapes):
        try:
            text = repair(text)
            return list(islice(_decoded(text), MAX_VALUES))
        except ValueError:
            continue
        except RecursionError:
            break
    return []


def _unchanged(text: str) -> str:
    return text


def _without_extras(text: str) -> str:
    if '"' not in text:
        text = unescape(text)  # all of it was escaped as if it were the text of an element
    return _EXTRA_COMMA.sub(r"\g<string>", _NOT_JSON.sub(r"\g<string>", text))


def _without_wrong_escapes(text: str) -> str:
    return _WRONG_ESCAPE.sub(r"\g<right>", text)


def _null(_: str) -> None:
    """Read NaN and Infinity as null: JSON has neither."""


_DECODER = json.JSONDecoder(strict=False, parse_constant=_null)
_decode: Callable[[str, int], tuple[Any, int]] = _DECODER.raw_decode


def _decoded(text: str) -> Iterator[Any]:
    """Decode value after value: some pages have several objects in a script."""
    at = _start_of_next_value(text, 1 if text.startswith(_BYTE_ORDER_MARK) else 0)
    while at < len(text):
        value, end = _decode(text, at)
        yield value
        at = _start_of_next_value(text, end)


def _start_of_next_value(text: str, at: int) -> int:
    found = _BETWEEN_VALUES.match(text, at)
    return found.end() if found else at
