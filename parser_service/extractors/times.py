"""Read the times that a page states."""

from collections.abc import Sequence
from datetime import date, datetime
from email.utils import parsedate_to_datetime

from parser_service.markup.document import Document

MAX_LENGTH = 100


def first_time(document: Document, names: Sequence[str], of_json_ld: str | None) -> str | None:
    """Return the first time that is stated plainly, in ISO 8601.

    Args:
        document: the page.
        names: of `<meta>` elements, the surest first.
        of_json_ld: the time that the page's JSON-LD states.
    """
    texts = [document.first_meta(name) for name in names]
    # The named property of an article is the surest, then JSON-LD, then older habits.
    for text in (texts[0], of_json_ld, *texts[1:]):
        if text and (time := _as_iso_8601(text)):
            return time
    return None


def _as_iso_8601(text: str) -> str | None:
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
