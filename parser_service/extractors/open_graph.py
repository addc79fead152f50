"""Extract the Open Graph properties of a page (ogp.me)."""

from parser_service.extractors.social_properties import prefixed_properties
from parser_service.markup.document import Document


def open_graph(document: Document) -> dict[str, list[str]]:
    """Return the values of each `og:` property, without the prefix; one may have several."""
    return prefixed_properties(document, "og:")
