"""JSON-LD: the objects that a page carries in scripts, as they are, within limits."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parser_service.markup.document import Document
from parser_service.markup.text import collapse, storable

MAX_TEXT = 256 * 1024
"""Characters of JSON-LD that are read."""
MAX_KEPT = 64 * 1024
"""Characters of JSON-LD that are kept; objects that do not fit are left out."""
MAX_DEPTH = 20
MAX_NUMBER = 10**15

Node = Mapping[str, Any]

# Around the JSON some pages leave what hides scripts from the browsers of the nineties.
_WRAPPING = re.compile(r"^\s*(?:<!--|<!\[CDATA\[|//\s*<!\[CDATA\[)|(?:-->|//\s*\]\]>|\]\]>|;)\s*$")


def json_ld(document: Document) -> list[dict[str, Any]]:
    """The page's objects, those of a list one by one; what is no JSON is left out."""
    objects: list[dict[str, Any]] = []
    to_read, to_keep = MAX_TEXT, MAX_KEPT
    for text in document.json_ld:
        to_read -= len(text)
        if to_read < 0:
            break
        for found in _objects(text):
            to_keep -= len(json.dumps(found, ensure_ascii=False))
            if to_keep < 0:
                return objects
            objects.append(found)
    return objects


def nodes(objects: Sequence[Node]) -> Iterator[Node]:
    """Every object and those of its `@graph`, in the order of the page."""
    for found in objects:
        yield found
        graph = found.get("@graph")
        if isinstance(graph, list):
            yield from (node for node in graph if isinstance(node, dict))


def first(objects: Sequence[Node], key: str) -> Any:
    """The first value of a key, the first of a list; None where no object has it."""
    for node in nodes(objects):
        value = node.get(key)
        if isinstance(value, list):
            value = next(iter(value), None)
        if value:
            return value
    return None


def text_of(value: Any, *keys: str) -> str | None:
    """A value that is text, or that an object has under the first of these keys."""
    if isinstance(value, dict):
        value = next((value[key] for key in keys if isinstance(value.get(key), str)), None)
    return collapse(value) or None if isinstance(value, str) else None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    try:
        # Not strict: line breaks inside strings are a common slip.
        parsed = json.loads(_WRAPPING.sub("", text), strict=False, parse_constant=_nothing)
    except (ValueError, RecursionError):
        return
    for item in parsed if isinstance(parsed, list) else [parsed]:
        cleaned = _clean(item, MAX_DEPTH)
        if isinstance(cleaned, dict) and cleaned:
            yield cleaned


def _clean(value: Any, depth: int) -> Any:
    """The value as it can be stored: no NUL, no infinite number, not too deep."""
    match value:
        case str():
            return storable(value)
        case bool() | None:
            return value
        case int() | float():
            return value if abs(value) < MAX_NUMBER else str(value)[:100]
        case dict() if depth:
            return {storable(key): _clean(item, depth - 1) for key, item in value.items()}
        case list() if depth:
            return [_clean(item, depth - 1) for item in value]
        case _:
            return None


def _nothing(_: str) -> None:
    """What NaN and Infinity stand for: they are no JSON."""
