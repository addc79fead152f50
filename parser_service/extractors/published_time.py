"""Extract the time at which a page was published."""

from parser_service.extractors.times import first_readable_time
from parser_service.markup.document import Document

_META_NAMES = (
    "article:published_time",
    "og:published_time",
    "datepublished",
    "parsely-pub-date",
    "sailthru.date",
    "dc.date.issued",
    "dcterms.created",
    "dc.date",
    "date",
    "pubdate",
)


def published_time(document: Document) -> str | None:
    """Return it in ISO 8601: a date, or a date and time, with an offset if the page states one."""
    return first_readable_time(document, _META_NAMES, document.json_ld.first_text("datePublished"))
