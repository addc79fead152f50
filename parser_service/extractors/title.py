"""Extract the title of a page, like a browser's `document.title` (HTML Standard, 3.1.5)."""

from parser_service.markup.document import Document
from parser_service.markup.text import collapse_whitespace
from parser_service.page import TitleSource

MAX_LENGTH = 1000
"""Characters kept of a title."""


def title(document: Document) -> str | None:
    """Return the first HTML title element's text, white space collapsed; None without one."""
    return None if document.title is None else collapse_whitespace(document.title)[:MAX_LENGTH]


def fallback_title(document: Document) -> tuple[str, TitleSource] | None:
    """Return a title for a page that has none: its `og:title`, else its first heading.

    Returns:
        The text, and its source: `og:title` or `h1`.
    """
    if text := document.first_meta("og:title"):
        return text[:MAX_LENGTH], TitleSource.OG_TITLE
    if text := collapse_whitespace(document.heading or ""):
        return text[:MAX_LENGTH], TitleSource.H1
    return None
