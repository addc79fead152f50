"""The address that a page asks to be known by (RFC 6596)."""

from parser_service.markup.document import Document


def canonical_url(document: Document) -> str | None:
    """The canonical link, or else Open Graph's address of the page."""
    linked = (link.href for link in document.links if "canonical" in link.rel)
    return document.absolute_url(next(linked, None)) or document.absolute_url(
        document.first_meta("og:url")
    )
