"""Who wrote the page."""

from collections.abc import Sequence

from parser_service.extractors.json_ld import Node, first, text_of
from parser_service.markup.document import Document

MAX_LENGTH = 1000
_NAMES = (
    "author",
    "article:author",
    "parsely-author",
    "sailthru.author",
    "dc.creator",
    "dc:creator",
    "dcterms.creator",
)


def author(document: Document, objects: Sequence[Node]) -> str | None:
    """A name; an address of a profile, which some put in its place, is none."""
    for text in (
        *(document.first_meta(name) for name in _NAMES),
        text_of(first(objects, "author"), "name"),
        text_of(first(objects, "creator"), "name"),
    ):
        if text and not text.lower().startswith(("http://", "https://", "//", "www.")):
            return text[:MAX_LENGTH]
    return None
