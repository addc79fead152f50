"""What a page says it is about."""

from collections.abc import Sequence

from parser_service.extractors.json_ld import Node, first, text_of
from parser_service.markup.document import Document

MAX_LENGTH = 5000


def description(document: Document, objects: Sequence[Node]) -> str | None:
    """The description for search engines, or for those who share the page."""
    text = document.first_meta(
        "description", "og:description", "twitter:description", "dc.description"
    ) or text_of(first(objects, "description"))
    return text[:MAX_LENGTH] if text else None
