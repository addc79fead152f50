"""Extract the time at which a page was last modified."""

from parser_service.extractors.times import stated_times
from parser_service.markup.document import Document

_META_NAMES = (
    "article:modified_time",
    "og:updated_time",
    "datemodified",
    "dcterms.modified",
    "last-modified",
    "lastmod",
)


def modified_time(document: Document) -> str | None:
    """Return it in ISO 8601: a date, or a date and time, with an offset if the page states one."""
    return next(stated_times(document, _META_NAMES, ["dateModified"]), None)
