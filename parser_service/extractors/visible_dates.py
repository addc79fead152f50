"""Find the day of a page in what its readers see: marked elements, its address, its text."""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice

from parser_service.extractors.time_formats import as_iso_8601, days_and_starts, days_in
from parser_service.markup.document import Document
from parser_service.markup.elements import Element, class_with

MAX_LOOKED_AT = 6
"""Elements of one kind that are looked at."""
MAX_NAMED_TEXT = 200
"""Characters of an element that are searched for its date."""
FIRST_YEAR = 1990

_PROPERTIES = frozenset(
    {
        *("datePublished", "schema:datePublished", "dc:date"),
        *("dateCreated", "schema:dateCreated", "dc:created"),
    }
)
_CLASSES = frozenset({"dt-published", "entry-date", "published"})
_WORDS = "date Date byline posted publi datum fecha meta time"
"""Parts of the classes of elements that show the day of publication."""
_NAMED = class_with(*_WORDS.split())
_OF_OTHER_DAY = re.compile("updat|modif|aktualis|geändert|event|deadline|expire", re.IGNORECASE)
_LARGE = frozenset({"body", "html", "main", "article", "section"})
# What stands before a date that is none of a story: nothing, a separator, or such a word.
_BEFORE_DATE = re.compile(
    r"(?:^|[|•·:;,(/\u2013\u2014-])\s*(?:(?:first |last )?(?:publish|post|creat|add|upload"
    r"|releas|issu|updat|modif|veröffent|erstellt|publi|stand|datum|date|written|fecha)\w*\s*)?"
    r"(?:(?:on|am|vom|den|le|el|em|il|at)\s+)?(?:[^\W\d_]{2,12}(?:day|tag|feira|di)?[.,]*\s+)?$",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<s>[/_-]?)(?P<month>[01]\d)(?P=s)(?P<day>[0-3]\d)(?!\d)"
)


def marked_time(document: Document) -> str | None:
    """Return the first time of an element whose markup calls it that of the publication."""
    marked = (element for element in document.elements.marked if _is_marked(element))
    return next(_times_of(islice(marked, MAX_LOOKED_AT)), None)


def shown_time(document: Document) -> str | None:
    """Return the time of the first `<time>` in the article, else on the page."""
    times = (element for element in document.elements.marked if element.tag == "time")
    shown = [
        element
        for element in islice(times, 2 * MAX_LOOKED_AT)
        if not _OF_OTHER_DAY.search(element.names)
    ]
    in_article = [element for element in shown if element.is_in_article()]
    return next(_times_of([*in_article, *shown]), None)


def day_of_address(url: str) -> str | None:
    """Return the day in the path of an address."""
    path = url.partition("://")[2].partition("/")[2].partition("?")[0]
    for found in _PATH.finditer(path[:500]):
        try:
            day = date(int(found["year"]), int(found["month"]), int(found["day"]))
        except ValueError:
            continue
        if day.year >= FIRST_YEAR:
            return day.isoformat()
    return None


def day_in_text(document: Document) -> str | None:
    """Return the first day in the text of an element that is named like one that shows it.

    Those after the first heading come first: before it is what all pages of the site have.
    """
    named = [*document.elements.find("h1," + _NAMED, 5 * MAX_LOOKED_AT)]
    headings = [number for number, element in enumerate(named) if element.tag == "h1"]
    first = headings[0] if headings else 0
    looked_at = 0
    for element in named[first:] + named[:first]:
        if looked_at == MAX_LOOKED_AT:
            break
        if element.tag in _LARGE or _OF_OTHER_DAY.search(element.names) or element.is_aside():
            continue
        text = element.text()
        looked_at += any(character.isdecimal() for character in text)
        if day := _first_day(text[:MAX_NAMED_TEXT]):
            return day
    return None


def day_after_heading(document: Document) -> str | None:
    """Return the first day in the text that follows the first heading."""
    return _first_day(" ".join(document.elements.lines_after_heading))


def day_of_dateline(document: Document) -> str | None:
    """Return the first day after the heading that is written as a date, not within a sentence."""
    for line in document.elements.lines_after_heading:
        for day, start in days_and_starts(line):
            if day.year >= FIRST_YEAR and _BEFORE_DATE.search(line[:start]):
                return day.isoformat()
    return None


def _first_day(text: str) -> str | None:
    days = (day for day in days_in(text) if day.year >= FIRST_YEAR)
    return next((day.isoformat() for day in days), None)


def _is_marked(element: Element) -> bool:
    if element.words("itemprop", "property") & _PROPERTIES:
        return True
    if element.tag == "time" and "pubdate" in element.attributes:
        return True
    return element.tag in ("time", "abbr") and bool(element.words("class") & _CLASSES)


def _times_of(elements: Iterable[Element]) -> Iterator[str]:
    return (time for element in elements if not element.is_aside() and (time := _time_of(element)))


def _time_of(element: Element) -> str | None:
    for name in ("datetime", "content", "title"):
        if (text := element.attribute(name)) and (time := as_iso_8601(text)):
            return time
    return as_iso_8601(element.text())
