"""The title of a page, as a browser's `document.title` (HTML Standard, 3.1.5)."""

from parser_service.markup.document import Document
from parser_service.markup.text import collapse
from parser_service.page import TitleSource

MAX_LENGTH = 1000
"""Characters kept of a title."""


def title(document: Document) -> str | None:
    """The text of the first HTML title element, white space collapsed; None without one."""
    return None if document.title is None else collapse(document.title)[:MAX_LENGTH]


def fallback_title(document: Document) -> tuple[str, TitleSource] | None:
    """What names a page that has no title: `og:title`, or its first heading.

    Returns:
        The text, and where it is from: `og:title` or `h1`.
    """
    if text := document.first_meta("og:title"):
        return text[:MAX_LENGTH], "og:title"
    if text := collapse(document.heading or ""):
        return text[:MAX_LENGTH], "h1"
    return None
