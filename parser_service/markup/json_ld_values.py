"""Read values of JSON-LD, in whichever of its forms a page has them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from html import unescape
from itertools import islice
from typing import Any

from parser_service.markup.text import collapse_whitespace

MAX_ITEMS = 50
"""Items that are read of a list."""
MAX_TYPES = 8
"""Types of a node that are looked at."""
MAX_TYPE_LENGTH = 100
MAX_TEXT_LENGTH = 2500
"""Characters of a text that are read, entities not decoded, unless a fact keeps more."""

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_LAST_PART = re.compile("[/:#]")
# The namespaces that stand before names where a page does not use schema.org's context.
_PREFIXES = ("schema:", "https://schema.org/", "http://schema.org/")


def value_of(node: Mapping[str, Any], key: str) -> Any:
    """Return what a node has under a key, which may be spelled with its namespace."""
    if (value := node.get(key)) is not None:
        return value
    for name in _spellings(key):
        if (value := node.get(name)) is not None:
            return value
    return None


@cache
def _spellings(key: str) -> Sequence[str]:
    return [prefix + key for prefix in _PREFIXES]


def types_of(node: Mapping[str, Any]) -> frozenset[str]:
    """Return the types of a node, without their namespace."""
    value = node.get("@type")
    if isinstance(value, str) and value.isalpha():
        return frozenset((value,))
    types = (kind for kind in islice(items_of(value), MAX_TYPES) if isinstance(kind, str))
    return frozenset(_LAST_PART.split(kind[-MAX_TYPE_LENGTH:])[-1].strip() for kind in types)


def items_of(value: Any) -> Iterator[Any]:
    """Return the values of a list, or the one value that is not in a list, without wrappings."""
    if isinstance(value, dict):
        value = value.get("@list", value.get("@set", value))
    for item in islice(value, MAX_ITEMS) if isinstance(value, list) else [value]:
        plain = item.get("@value", item) if isinstance(item, dict) else item
        if plain is not None:
            yield plain


def first_of(value: Any) -> Any:
    """Return the first of the values; None if there is none."""
    return next(items_of(value), None)


def text_of(value: Any, *keys: str, limit: int = MAX_TEXT_LENGTH) -> str | None:
    """Return the text of a value: its own, or what an object has under the first of the keys.

    Entities are decoded, since JSON-LD is often made of text that was escaped for HTML. The text
    is cut to `limit` characters before: many nodes may mean one text, which is read for each.
    """
    value = first_of(value)
    if isinstance(value, dict):
        texts = (first_of(value_of(value, key)) for key in keys)
        value = next((text for text in texts if isinstance(text, str)), None)
    return collapse_whitespace(decoded(value[:limit])) or None if isinstance(value, str) else None


def decoded(text: str) -> str:
    """Decode entities, also those that were escaped twice."""
    if "&" not in text:
        return text
    once = _ENTITY.sub(_character, text)
    return _ENTITY.sub(_character, once) if "&" in once else once


def _character(entity: re.Match[str]) -> str:
    return _unescaped(entity[0])


@lru_cache(maxsize=256)  # texts have few entities, many times
def _unescaped(entity: str) -> str:
    return unescape(entity)
