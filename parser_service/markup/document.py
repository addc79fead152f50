"""What the extractors look at: the parts of a page that say something about it.

A page is parsed once and read once, whichever parser read it, so that an extractor is a
function of this and nothing else.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ada_url
from selectolax.lexbor import LexborHTMLParser, LexborNode

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from bs4.element import Tag

MAX_URL = 2083
"""Characters of a URL among the facts; a longer one is left out."""
MAX_TITLE_STEPS = 20_000
"""Elements looked at in search of the title: a page may be made of nothing else."""

_XHTML = "http://www.w3.org/1999/xhtml"
_ASCII_WHITESPACE = re.compile(r"[\t\n\x0c\r ]+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_JSON_LD = "application/ld+json"

# HTML Standard, 13.2.6: inside these foreign elements, children are HTML again.
_LEADING_BACK_TO_HTML = {
    "svg": frozenset({"foreignObject", "desc", "title"}),
    "math": frozenset({"mi", "mo", "mn", "ms", "mtext", "annotation-xml"}),
}


@dataclass(frozen=True, slots=True)
class Link:
    """A `<link>` with an address.

    Attributes:
        rel: its relations, in lower case.
    """

    rel: frozenset[str]
    href: str
    type: str
    title: str


@dataclass(frozen=True, slots=True)
class Document:
    """A page, read.

    Attributes:
        base_url: what relative addresses are resolved against.
        language: the root element's `lang`, as it stands there.
        title: the text of the first HTML title element, or None where there is none.
        heading: the text of the first `<h1>`, for a page without a title.
        meta: contents of `<meta>` by `name`, `property`, `itemprop` or `http-equiv`, in lower
            case; several of a name in the order of the page.
        links: in the order of the page.
        json_ld: the texts of JSON-LD scripts, as they stand there.
        robots_headers: values of X-Robots-Tag headers.
    """

    base_url: str
    language: str | None = None
    title: str | None = None
    heading: str | None = None
    meta: Mapping[str, Sequence[str]] = field(default_factory=dict)
    links: Sequence[Link] = ()
    json_ld: Sequence[str] = ()
    robots_headers: Sequence[str] = ()

    def first_meta(self, *names: str) -> str | None:
        """The first content that is not blank, of the first name that has one."""
        for name in names:
            for content in self.meta.get(name, ()):
                if text := collapse(content):
                    return text
        return None

    def absolute(self, address: str | None) -> str | None:
        """An address as an absolute http or https URL; None if it is none, or too long."""
        if not address or len(address) > MAX_URL:
            return None
        try:
            url = ada_url.URL(address, base=self.base_url)
        except ValueError:
            return None
        if url.protocol not in ("http:", "https:") or len(url.href) > MAX_URL:
            return None
        return str(url.href)


def collapse(text: str) -> str:
    """Infra Standard, "strip and collapse ASCII whitespace"; other white space is text."""
    return _ASCII_WHITESPACE.sub(" ", text).strip(" ")


def storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor half a surrogate pair."""
    if "\0" not in text:  # this and the next take a fraction of the time
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def read_html(page: LexborHTMLParser, *, url: str) -> Document:
    """Read a page that lexbor parsed.

    Args:
        page: the parsed page.
        url: where it was fetched from.
    """
    title = _first_title(page)
    root = page.root
    return Document(
        base_url=_base_url(url, (node.attributes.get("href") for node in page.tags("base"))),
        language=root.attributes.get("lang") if root else None,
        title=None if title is None else title.text(deep=False),
        heading=None if title else _first_heading(page),
        meta=_named(node.attributes for node in page.tags("meta")),
        links=_links(node.attributes for node in page.tags("link")),
        json_ld=[
            node.text()
            for node in page.tags("script")
            if (node.attributes.get("type") or "").strip().lower() == _JSON_LD
        ],
    )


def read_xhtml(page: "BeautifulSoup", *, url: str) -> Document:
    """Read a page that was parsed as XML."""
    title = next(iter(_xhtml(page, "title")), None)
    heading = next(iter(_xhtml(page, "h1")), None)
    root = next(iter(_xhtml(page, "html")), None)
    return Document(
        base_url=_base_url(url, (_attributes(tag).get("href") for tag in _xhtml(page, "base"))),
        language=_attributes(root).get("lang") if root else None,
        title=None if title is None else _own_text(title),
        heading=heading.get_text() if heading else None,
        meta=_named(_attributes(tag) for tag in _xhtml(page, "meta")),
        links=_links(_attributes(tag) for tag in _xhtml(page, "link")),
        json_ld=[
            tag.get_text()
            for tag in _xhtml(page, "script")
            if (_attributes(tag).get("type") or "").strip().lower() == _JSON_LD
        ],
    )


Attributes = Mapping[str, str | None]


def _named(metas: Iterable[Attributes]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for attributes in metas:
        content = attributes.get("content")
        if content is None:
            continue
        # RDFa and microdata allow several names in one attribute.
        names = [attributes.get("name") or "", attributes.get("http-equiv") or ""]
        names += (attributes.get("property") or "").split()
        names += (attributes.get("itemprop") or "").split()
        for name in dict.fromkeys(name.strip().lower() for name in names):
            if name:
                named.setdefault(name, []).append(content)
    return named


def _links(links: Iterable[Attributes]) -> list[Link]:
    return [
        Link(
            rel=frozenset((attributes.get("rel") or "").lower().split()),
            href=href.strip(),
            type=(attributes.get("type") or "").strip().lower(),
            title=collapse(attributes.get("title") or ""),
        )
        for attributes in links
        if (href := attributes.get("href"))
    ]


def _base_url(url: str, bases: Iterable[str | None]) -> str:
    """HTML Standard, "document base URL": the first `<base>` with an address, if it is one."""
    href = next((href for href in bases if href is not None), None)
    if href is None:
        return url
    try:
        base = ada_url.URL(href, base=url)
    except ValueError:
        return url
    return str(base.href) if base.protocol in ("http:", "https:") else url


def _first_heading(page: LexborHTMLParser) -> str | None:
    headings = page.tags("h1")
    return headings[0].text() if headings else None


def _first_title(page: LexborHTMLParser) -> LexborNode | None:
    """The first title element in the HTML namespace, in a bounded number of steps."""
    steps = MAX_TITLE_STEPS
    for node in page.tags("title"):
        tags = _tags_from_root(node, steps)
        steps -= len(tags)
        if steps <= 0:
            return None
        if _is_html(tags):
            return node
    return None


def _tags_from_root(node: LexborNode, most: int) -> list[str]:
    tags: list[str] = []
    above: LexborNode | None = node
    while above is not None and len(tags) < most:
        tags.append(above.tag or "")
        above = above.parent
    return tags[::-1]


def _is_html(tags: Sequence[str]) -> bool:
    """Whether the last of these nested elements is in the HTML namespace.

    lexbor does not tell; but where an element stands tells how the parser made it.
    """
    inside = namespace = "html"
    for tag in tags:
        namespace = tag if inside == "html" and tag in ("svg", "math") else inside
        leads_back = tag in _LEADING_BACK_TO_HTML.get(namespace, ())
        inside = "html" if leads_back else namespace
    return namespace == "html"


def _xhtml(page: "BeautifulSoup", name: str) -> Iterable["Tag"]:
    return (tag for tag in page.find_all(name) if tag.namespace == _XHTML)


def _attributes(tag: "Tag") -> dict[str, str | None]:
    """Attributes by their names without a prefix, so that `xml:lang` is a `lang` too."""
    named: dict[str, str | None] = {}
    for name, value in tag.attrs.items():
        text = value if isinstance(value, str) else " ".join(value)
        named.setdefault(name.rpartition(":")[2], text)
    return named


def _own_text(tag: "Tag") -> str:
    # By name, for BeautifulSoup is imported only for XHTML. Comments are of other classes.
    return "".join(
        child
        for child in tag.children
        if isinstance(child, str) and type(child).__name__ == "NavigableString"
    )
