"""Read properties that share a prefix, as Open Graph and Twitter cards have them."""

from collections.abc import Iterable, Iterator
from itertools import islice

from parser_service.markup.document import Document
from parser_service.markup.text import collapse_whitespace

MAX_PROPERTIES = 100
MAX_VALUES_PER_PROPERTY = 20
MAX_VALUE_LENGTH = 2000
MAX_KEPT_LENGTH = 128 * 1024
"""Characters of all values: one element may give its content to many properties."""


def prefixed_properties(document: Document, prefix: str) -> dict[str, list[str]]:
    """Return the values of each property, by its name without the prefix."""
    found: dict[str, list[str]] = {}
    cleaned: dict[str, str] = {}
    to_keep = MAX_KEPT_LENGTH
    for name, contents in document.meta.items():
        if not name.startswith(prefix) or len(name) > 100 or len(found) >= MAX_PROPERTIES:
            continue
        texts = filter(None, _cleaned(contents, cleaned))
        values = list(islice(texts, MAX_VALUES_PER_PROPERTY))
        to_keep -= sum(map(len, values))
        if to_keep < 0:
            break
        if values:
            found[name.removeprefix(prefix)] = values
    return found


def _cleaned(contents: Iterable[str], known: dict[str, str]) -> Iterator[str]:
    """Return the contents without needless white space; each is cleaned once."""
    for content in contents:
        if content not in known:
            known[content] = collapse_whitespace(content)[:MAX_VALUE_LENGTH]
        yield known[content]
