"""Extract the time at which a page was published."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice

from parser_service.extractors.times import stated_times
from parser_service.extractors.visible_dates import (
    day_after_heading,
    day_in_text,
    day_of_address,
    day_of_dateline,
    marked_time,
    shown_time,
)
from parser_service.markup.document import Document

_META_NAMES = (
    "article:published_time",
    *("og:published_time", "og:article:published_time", "article:published", "article.published"),
    *("datepublished", "rnews:datepublished", "parsely-pub-date", "sailthru.date"),
    *("dc.date.issued", "dcterms.issued", "dc.issued", "dcterms.created", "dc.date.created"),
    *("dc.created", "dc.date.publication", "dcterms.date", "dc.date", "dc:date"),
    *("date", "pubdate", "pub_date", "publishdate", "publish-date", "publish_date", "publishtime"),
    *("published-date", "published_date", "published", "published_at", "publication_date"),
    *("publication-date", "publicationdate", "citation_publication_date", "citation_online_date"),
    *("citation_date", "prism.publicationdate", "cxenseparse:recs:publishtime"),
    *("cxenseparse:publishtime", "bt:pubdate", "rbpubdate", "displaydate", "article_date_original"),
    *("article.created", "originalpublicationdate", "article:post_date", "article:created_time"),
    *("date.created", "created", "creation_date", "date_created", "datecreated", "timestamp"),
    *("shareaholic:article_published_time", "vr:published_time", "nrbi:pubdate", "search_date"),
    *("article-publication-date", "article_publish_date", "analyticsattributes.articledate"),
)
_MAX_STATED = 10
_KEYS = ("datePublished", "dateCreated", "uploadDate")

# Local time is between ten hours behind UTC and thirteen before it, where people live.
_MOST_BEHIND, _MOST_AHEAD = 8, 11


def published_time(document: Document) -> str | None:
    """Return it in ISO 8601: a date, or a date and time, with an offset if the page states one.

    If a page states the time in UTC and its day differs from the one that readers see, because
    the page's own time is ahead or behind, only that day is returned.
    """
    stated = list(islice(stated_times(document, _META_NAMES, _KEYS), _MAX_STATED))
    if not stated:
        return (
            marked_time(document)
            or shown_time(document)
            or day_of_address(document.url)
            or day_after_heading(document)
            or day_in_text(document)
        )
    time = datetime.fromisoformat(stated[0])
    if len(stated[0]) == 10 or time.utcoffset() != timedelta():
        return stated[0]
    return _with_offset(stated, time) or _own_day(document, time) or stated[0]


def _with_offset(stated: Iterable[str], time: datetime) -> str | None:
    """Return the statement of the same time that has the page's own offset."""
    for text in stated:
        other = datetime.fromisoformat(text)
        if other.utcoffset() and abs(other - time) < timedelta(minutes=1):
            return text
    return None


def _own_day(document: Document, time: datetime) -> str | None:
    """Return the day that readers see, if it can be that of this time in UTC."""
    others = set()
    if time.hour < _MOST_BEHIND:
        others.add((time - timedelta(days=1)).date().isoformat())
    if time.hour >= 24 - _MOST_AHEAD:
        others.add((time + timedelta(days=1)).date().isoformat())
    if not others:
        return None
    day = day_of_address(document.url) or day_of_dateline(document) or day_in_text(document)
    return day if day in others else None
