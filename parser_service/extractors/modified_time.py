"""When a page was changed."""

from parser_service.extractors.times import first_time
from parser_service.markup.document import Document

_NAMES = (
    "article:modified_time",
    "og:updated_time",
    "datemodified",
    "dcterms.modified",
    "last-modified",
    "lastmod",
)


def modified_time(document: Document) -> str | None:
    """Return ISO 8601: a date, or a date and time, with an offset if the page states one."""
    return first_time(document, _NAMES, document.json_ld.first_text("dateModified"))
