"""Extract the canonical URL of a page (RFC 6596)."""

from parser_service.markup.document import Document


def canonical_url(document: Document) -> str | None:
    """Return the canonical link, else Open Graph's URL of the page."""
    linked = (link.href for link in document.links if "canonical" in link.rel)
    return document.absolute_url(next(linked, None)) or document.absolute_url(
        document.first_meta("og:url")
    )
