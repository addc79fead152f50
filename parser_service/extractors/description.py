"""Extract the description of a page."""

from parser_service.markup.document import Document

MAX_LENGTH = 5000


def description(document: Document) -> str | None:
    """Return the description for search engines, else for previews, else of JSON-LD."""
    text = document.first_meta(
        "description", "og:description", "twitter:description", "dc.description"
    ) or document.json_ld.first_text("description", limit=2 * MAX_LENGTH)
    return text[:MAX_LENGTH] if text else None
