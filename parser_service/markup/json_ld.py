"""Parse JSON-LD: the objects that a page carries in scripts, within limits."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from parser_service.markup.text import collapse_whitespace, make_storable_text

MAX_READ_LENGTH = 256 * 1024
"""Characters of JSON-LD that are read of one page, all scripts together."""
MAX_KEPT_LENGTH = 64 * 1024
"""Characters of JSON-LD that are kept of one page; objects that do not fit are left out."""
MAX_DEPTH = 20
"""Levels of objects and lists that are kept; what lies deeper becomes null."""
MIN_MAGNITUDE_KEPT_AS_TEXT = 10**15
"""The magnitude from which numbers are kept as text: other readers would round them."""

Node = Mapping[str, Any]

# Some pages wrap the JSON in what hid scripts from the browsers of the nineties.
_COMMENT_OR_CDATA_WRAPPING = re.compile(
    r"^\s*(?:<!--|<!\[CDATA\[|//\s*<!\[CDATA\[)|(?:-->|//\s*\]\]>|\]\]>|;)\s*$"
)


@dataclass(frozen=True, slots=True)
class JsonLd:
    """Hold the JSON-LD of a page.

    Attributes:
        objects: as the page has them, those of a list one by one.
        nodes: the objects and those of their `@graph`, in the order of the page.
    """

    objects: Sequence[dict[str, Any]] = ()
    nodes: Sequence[Node] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Parse the texts of scripts, in the order of the page; skip what is not JSON."""
        objects = list(_objects_within_limits(texts))
        return cls(objects, list(_json_ld_nodes(objects)))

    def first_text(self, key: str, *alternative_keys_within: str) -> str | None:
        """Return the text of the first node that has a value under a key.

        Args:
            key: where to look; of a list under it, the first item counts.
            alternative_keys_within: if the value is an object, its text is under the first of
                these that has one.

        Returns:
            None if no node has the key, or if its value is not text.
        """
        for node in self.nodes:
            value = node.get(key)
            if isinstance(value, list):
                value = next(iter(value), None)
            if value:
                return text_of(value, *alternative_keys_within)
        return None


def text_of(value: Any, *alternative_keys: str) -> str | None:
    """Return a value that is text, or the text that an object has under the first of keys."""
    if isinstance(value, dict):
        texts = (value[key] for key in alternative_keys if isinstance(value.get(key), str))
        value = next(texts, None)
    return collapse_whitespace(value) or None if isinstance(value, str) else None


def _objects_within_limits(texts: Iterable[str]) -> Iterator[dict[str, Any]]:
    to_read, to_keep = MAX_READ_LENGTH, MAX_KEPT_LENGTH
    for text in texts:
        to_read -= len(text)
        if to_read < 0:
            return
        for found in _parse_storable_objects(text):
            to_keep -= len(json.dumps(found, ensure_ascii=False))
            if to_keep < 0:
                return
            yield found


def _json_ld_nodes(objects: Iterable[Node]) -> Iterator[Node]:
    for found in objects:
        yield found
        graph = found.get("@graph")
        if isinstance(graph, list):
            yield from (node for node in graph if isinstance(node, dict))


def _parse_storable_objects(text: str) -> Iterator[dict[str, Any]]:
    try:
        # Not strict: line breaks inside strings are a common slip.
        parsed = json.loads(
            _COMMENT_OR_CDATA_WRAPPING.sub("", text), strict=False, parse_constant=_null
        )
    except (ValueError, RecursionError):
        return
    for item in parsed if isinstance(parsed, list) else [parsed]:
        cleaned = _storable_value(item, MAX_DEPTH)
        if isinstance(cleaned, dict) and cleaned:
            yield cleaned


def _storable_value(value: Any, depth: int) -> Any:
    """Make a value storable: no NUL, no infinite number, large numbers as text.

    What is too deep becomes null.
    """
    match value:
        case str():
            return make_storable_text(value)
        case bool() | None:
            return value
        case int() | float():
            return value if abs(value) < MIN_MAGNITUDE_KEPT_AS_TEXT else str(value)[:100]
        case dict() if depth:
            return {
                make_storable_text(key): _storable_value(item, depth - 1)
                for key, item in value.items()
            }
        case list() if depth:
            return [_storable_value(item, depth - 1) for item in value]
        case _:
            return None


def _null(_: str) -> None:
    """Read NaN and Infinity as null: JSON has neither."""
