"""Parse XHTML as XML, with BeautifulSoup over lxml, and read it into a document."""

import re
from collections.abc import Iterable
from html.entities import html5
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

from parser_service.markup.attributes import base_url_of, is_json_ld, links_of, meta_by_name
from parser_service.markup.document import Document
from parser_service.markup.elements import Elements
from parser_service.markup.json_ld import JsonLd

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from bs4.element import Tag

_XHTML_NAMESPACE = "http://www.w3.org/1999/xhtml"
# HTML Standard, 14.2: browsers also know HTML's named characters in XHTML.
_HTML_ONLY_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,30};)")


def parse_xhtml(text: str, *, url: str) -> Document:
    """Parse a page as XML and read the parts that extractors need.

    Args:
        text: the whole page.
        url: where it was fetched from.
    """
    page = _parse_or_empty(text)
    title = next(iter(_elements_named(page, "title")), None)
    heading = next(iter(_elements_named(page, "h1")), None)
    root = next(iter(_elements_named(page, "html")), None)
    return Document(
        base_url=base_url_of(
            url, (_attributes(tag).get("href") for tag in _elements_named(page, "base"))
        ),
        url=url,
        language=_attributes(root).get("lang") if root else None,
        title=None if title is None else _own_text(title),
        heading=heading.get_text() if heading else None,
        meta=meta_by_name(_attributes(tag) for tag in _elements_named(page, "meta")),
        links=links_of(_attributes(tag) for tag in _elements_named(page, "link")),
        json_ld=JsonLd.parse(
            (
                tag.get_text()
                for tag in _elements_named(page, "script")
                if is_json_ld(_attributes(tag))
            ),
            url=url,
        ),
        refresh=next(
            (
                attributes["content"]
                for attributes in map(_attributes, _elements_named(page, "meta"))
                if (attributes.get("http-equiv") or "").strip().lower() == "refresh"
                and attributes.get("content")
            ),
            None,
        ),
        # Good enough to look for dates and names in the text, and much faster.
        elements=Elements(LexborHTMLParser(text)),
    )


def _parse_or_empty(text: str) -> "BeautifulSoup":
    # Imported here because they take 5 MB in each process and few pages need them.
    from bs4 import BeautifulSoup  # noqa: PLC0415
    from bs4.exceptions import ParserRejectedMarkup  # noqa: PLC0415

    if "<" not in text:  # BeautifulSoup warns about such text
        return BeautifulSoup("", "lxml-xml")
    try:
        return BeautifulSoup(_HTML_ONLY_ENTITY.sub(_entity_character, text), "lxml-xml")
    except ParserRejectedMarkup:  # such as a reference to half a surrogate pair
        return BeautifulSoup("", "lxml-xml")


def _entity_character(found: re.Match[str]) -> str:
    return html5.get(found[1], found[0])


def _elements_named(page: "BeautifulSoup", name: str) -> Iterable["Tag"]:
    return (tag for tag in page.find_all(name) if tag.namespace == _XHTML_NAMESPACE)


def _attributes(tag: "Tag") -> dict[str, str | None]:
    """Return attributes by their names without a prefix, so that `xml:lang` counts as `lang`."""
    named: dict[str, str | None] = {}
    for name, value in tag.attrs.items():
        text = value if isinstance(value, str) else " ".join(value)
        named.setdefault(name.rpartition(":")[2], text)
    return named


def _own_text(tag: "Tag") -> str:
    # Compare the class by name, because BeautifulSoup is imported late. Comments are of others.
    return "".join(
        child
        for child in tag.children
        if isinstance(child, str) and type(child).__name__ == "NavigableString"
    )
