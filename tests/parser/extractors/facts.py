"""Extract one fact of a page, for the tables of this folder."""

from typing import Any

from parser_service.markup.content_type import Markup
from parser_service.parser import RawPage, parse

URL = "https://example.com/news/article"


def fact(name: str, html: str, *, url: str = URL) -> Any:
    """Return a member of the metadata of a page."""
    page = parse(RawPage(html.encode(), Markup.HTML, url, "utf-8"))
    return page.metadata.model_dump()[name]


def json_ld(text: str) -> str:
    """Return a script of JSON-LD."""
    return f'<script type="application/ld+json">{text}</script>'
