"""Extract the author of a page."""

from parser_service.extractors.authors import authors
from parser_service.markup.document import Document

MAX_LENGTH = 1000


def author(document: Document) -> str | None:
    """Return the names of the authors, with commas between them."""
    return ", ".join(document.once(authors))[:MAX_LENGTH] or None
