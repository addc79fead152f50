"""Read times that pages state, in whatever format."""

from collections.abc import Sequence
from datetime import date, datetime
from email.utils import parsedate_to_datetime

from parser_service.markup.document import Document

MAX_TIME_TEXT_LENGTH = 100


def first_readable_time(
    document: Document, names: Sequence[str], of_json_ld: str | None
) -> str | None:
    """Return the first time whose format is unambiguous, in ISO 8601.

    Args:
        document: the page.
        names: names of `<meta>` elements, the most reliable first.
        of_json_ld: the time in the page's JSON-LD.
    """
    texts = [document.first_meta(name) for name in names]
    # An article's own property is the most reliable, then JSON-LD, then older names.
    for text in (texts[0], of_json_ld, *texts[1:]):
        if text and (time := _as_iso_8601(text)):
            return time
    return None


def _as_iso_8601(text: str) -> str | None:
    """Return the same time in ISO 8601; None if the format is ambiguous or unknown."""
    if len(text) > MAX_TIME_TEXT_LENGTH:
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
