"""Open Graph (ogp.me) and Twitter cards, as the page has them."""

from parser_service.markup.document import Document
from parser_service.markup.text import collapse

MAX_PROPERTIES = 100
MAX_VALUES = 20
MAX_LENGTH = 2000


def open_graph(document: Document) -> dict[str, list[str]]:
    """The values of each `og:` property, without the prefix; a property may have several."""
    return {
        name.removeprefix("og:"): values for name, values in _properties(document, "og:").items()
    }


def twitter_card(document: Document) -> dict[str, str]:
    """The value of each `twitter:` property, without the prefix."""
    return {
        name.removeprefix("twitter:"): values[0]
        for name, values in _properties(document, "twitter:").items()
    }


def _properties(document: Document, prefix: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, contents in document.meta.items():
        if not name.startswith(prefix) or len(name) > 100 or len(found) >= MAX_PROPERTIES:
            continue
        values = [text for content in contents if (text := collapse(content)[:MAX_LENGTH])]
        if values:
            found[name] = values[:MAX_VALUES]
    return found
