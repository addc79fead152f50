"""Extract the author of a page."""

from parser_service.markup.document import Document

MAX_LENGTH = 1000
_META_NAMES = (
    "author",
    "article:author",
    "parsely-author",
    "sailthru.author",
    "dc.creator",
    "dc:creator",
    "dcterms.creator",
)


def author(document: Document) -> str | None:
    """Return the first author's name; skip addresses of profiles, which some pages give instead."""
    for text in (
        *(document.first_meta(name) for name in _META_NAMES),
        document.json_ld.first_text("author", "name"),
        document.json_ld.first_text("creator", "name"),
    ):
        if text and not text.lower().startswith(("http://", "https://", "//", "www.")):
            return text[:MAX_LENGTH]
    return None
