"""Read properties that share a prefix, as Open Graph and Twitter cards have them."""

from parser_service.markup.document import Document
from parser_service.markup.text import collapse

MAX_PROPERTIES = 100
MAX_VALUES = 20
MAX_LENGTH = 2000


def properties(document: Document, prefix: str) -> dict[str, list[str]]:
    """Return the values of each property, by its name without the prefix."""
    found: dict[str, list[str]] = {}
    for name, contents in document.meta.items():
        if not name.startswith(prefix) or len(name) > 100 or len(found) >= MAX_PROPERTIES:
            continue
        values = [text for content in contents if (text := collapse(content)[:MAX_LENGTH])]
        if values:
            found[name.removeprefix(prefix)] = values[:MAX_VALUES]
    return found
