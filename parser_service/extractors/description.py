"""What a page says it is about."""

from parser_service.markup.document import Document

MAX_LENGTH = 5000


def description(document: Document) -> str | None:
    """The description for search engines, or for those who share the page."""
    text = document.first_meta(
        "description", "og:description", "twitter:description", "dc.description"
    ) or document.json_ld.first_text("description")
    return text[:MAX_LENGTH] if text else None
