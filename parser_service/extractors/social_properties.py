"""Read properties that share a prefix, as Open Graph and Twitter cards have them."""

from parser_service.markup.document import Document
from parser_service.markup.text import collapse_whitespace

MAX_PROPERTIES = 100
MAX_VALUES_PER_PROPERTY = 20
MAX_VALUE_LENGTH = 2000


def prefixed_properties(document: Document, prefix: str) -> dict[str, list[str]]:
    """Return the values of each property, by its name without the prefix."""
    found: dict[str, list[str]] = {}
    for name, contents in document.meta.items():
        if not name.startswith(prefix) or len(name) > 100 or len(found) >= MAX_PROPERTIES:
            continue
        values = [
            text
            for content in contents
            if (text := collapse_whitespace(content)[:MAX_VALUE_LENGTH])
        ]
        if values:
            found[name.removeprefix(prefix)] = values[:MAX_VALUES_PER_PROPERTY]
    return found
