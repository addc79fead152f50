"""The title of a page, as a browser's `document.title` (HTML Standard, 3.1.5)."""

import re

from bs4 import BeautifulSoup
from bs4.element import NavigableString
from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_LENGTH = 1000
"""Characters kept of a title."""

_XHTML = "http://www.w3.org/1999/xhtml"
_ASCII_WHITESPACE = re.compile(r"[\t\n\x0c\r ]+")

# HTML Standard, 13.2.6: inside these foreign elements, children are HTML again.
_SVG_TO_HTML = frozenset({"foreignObject", "desc", "title"})
_MATHML_TO_HTML = frozenset({"mi", "mo", "mn", "ms", "mtext", "annotation-xml"})


def of_html(document: LexborHTMLParser) -> str | None:
    """The text of the first HTML title element, or None where there is none."""
    for node in document.tags("title"):
        if _is_html(node):
            return collapse(node.text(deep=False))
    return None


def of_xhtml(document: BeautifulSoup) -> str | None:
    """The same of a document that was read as XML."""
    for tag in document.find_all("title"):
        if tag.namespace == _XHTML:
            texts = (child for child in tag.children if type(child) is NavigableString)
            return collapse("".join(texts))
    return None


def collapse(text: str) -> str:
    """Infra Standard, "strip and collapse ASCII whitespace"; other white space is text."""
    return _ASCII_WHITESPACE.sub(" ", text).strip(" ")[:MAX_LENGTH]


def _is_html(node: LexborNode) -> bool:
    """Whether an element is in the HTML namespace, told from where the parser put it."""
    parent = node.parent
    if parent is None or parent.tag in ("head", "body", "-undef"):
        return True
    inside = _namespace(parent)
    if inside == "svg":
        return parent.tag in _SVG_TO_HTML
    if inside == "math":
        return parent.tag in _MATHML_TO_HTML
    return True


def _namespace(node: LexborNode) -> str:
    if node.tag in ("svg", "math") and _is_html(node):
        return str(node.tag)
    parent = node.parent
    return "html" if parent is None or _is_html(node) else _namespace(parent)
