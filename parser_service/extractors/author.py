"""Who wrote the page."""

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


def author(document: Document) -> str | None:
    """A name; an address of a profile, which some put in its place, is none."""
    for text in (
        *(document.first_meta(name) for name in _NAMES),
        document.json_ld.first_text("author", "name"),
        document.json_ld.first_text("creator", "name"),
    ):
        if text and not text.lower().startswith(("http://", "https://", "//", "www.")):
            return text[:MAX_LENGTH]
    return None
