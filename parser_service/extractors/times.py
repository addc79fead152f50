"""When a page was published and when it was changed."""

from collections.abc import Sequence
from datetime import date, datetime
from email.utils import parsedate_to_datetime

from parser_service.extractors.json_ld import Node, first, text_of
from parser_service.markup.document import Document

MAX_LENGTH = 100
_PUBLISHED = (
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
_MODIFIED = (
    "article:modified_time",
    "og:updated_time",
    "datemodified",
    "dcterms.modified",
    "last-modified",
    "lastmod",
)


def published_time(document: Document, objects: Sequence[Node]) -> str | None:
    """ISO 8601: a date, or a date and time, with an offset where the page states one."""
    return _first_time(document, _PUBLISHED, text_of(first(objects, "datePublished")))


def modified_time(document: Document, objects: Sequence[Node]) -> str | None:
    """Likewise."""
    return _first_time(document, _MODIFIED, text_of(first(objects, "dateModified")))


def _first_time(document: Document, names: Sequence[str], of_json_ld: str | None) -> str | None:
    texts = [document.first_meta(name) for name in names]
    # The named property of an article is the surest, then JSON-LD, then older habits.
    for text in (texts[0], of_json_ld, *texts[1:]):
        if text and (time := _normalise(text)):
            return time
    return None


def _normalise(text: str) -> str | None:
    """The same time in ISO 8601; None where it is in no form that leaves no doubt."""
    if len(text) > MAX_LENGTH:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
