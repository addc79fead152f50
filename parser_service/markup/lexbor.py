"""Read a page that lexbor parsed as HTML into a document."""

from collections.abc import Iterable, Sequence

from selectolax.lexbor import LexborHTMLParser, LexborNode

from parser_service.markup.attributes import (
    Attributes,
    base_url_of,
    is_json_ld,
    links_of,
    meta_by_name,
)
from parser_service.markup.document import Document
from parser_service.markup.elements import Elements
from parser_service.markup.json_ld import JsonLd

MAX_TITLE_SEARCH_STEPS = 20_000
"""Elements visited in search of the title: a page may consist of nothing but titles."""

_READ = "title,base,meta,link,script[type*='ld+json' i]"
# HTML Standard, 13.2.6: the children of these foreign elements are HTML again.
_INTEGRATION_POINTS = {
    "svg": frozenset({"foreignObject", "desc", "title"}),
    "math": frozenset({"mi", "mo", "mn", "ms", "mtext", "annotation-xml"}),
}


def document_from_tree(page: LexborHTMLParser, *, url: str) -> Document:
    """Read the parts of a page that extractors need.

    Args:
        page: the parsed page.
        url: where it was fetched from.
    """
    by_tag: dict[str, list[LexborNode]] = {}
    for node in page.css(_READ):
        by_tag.setdefault(node.tag or "", []).append(node)
    metas = [(node, node.attributes) for node in by_tag.get("meta", ())]
    title = _first_title(by_tag.get("title", ()))
    title_text = None if title is None else title.text(deep=False)
    heading = None if (title_text or "").strip() else page.css_first("h1")
    scripts = (node for node in by_tag.get("script", ()) if is_json_ld(node.attributes))
    root = page.root
    return Document(
        base_url=base_url_of(url, _base_addresses(by_tag.get("base", ()))),
        url=url,
        language=root.attributes.get("lang") if root else None,
        title=title_text,
        heading=heading.text() if heading else None,
        meta=meta_by_name(attributes for _, attributes in metas),
        links=links_of(node.attributes for node in by_tag.get("link", ())),
        json_ld=JsonLd.parse((node.text() for node in scripts), url=url),
        elements=Elements(page),
        refresh=_refresh(metas),
    )


def _base_addresses(bases: Iterable[LexborNode]) -> Iterable[str | None]:
    """Return the addresses of the `<base>` elements that are HTML, in a bounded number of steps."""
    steps = MAX_TITLE_SEARCH_STEPS
    for node in bases:
        tags = _tags_from_root(node, steps)
        steps -= len(tags)
        if steps <= 0:
            return
        if _is_html(tags):
            yield node.attributes.get("href")


def _refresh(metas: Iterable[tuple[LexborNode, Attributes]]) -> str | None:
    steps = MAX_TITLE_SEARCH_STEPS
    for node, attributes in metas:
        if (attributes.get("http-equiv") or "").strip().lower() != "refresh":
            continue
        tags = _tags_from_root(node, steps)
        steps -= len(tags)
        if steps <= 0:
            return None
        if "noscript" in tags:
            continue
        if content := attributes.get("content"):
            return content
    return None


def _first_title(titles: Iterable[LexborNode]) -> LexborNode | None:
    """Find the first title element in the HTML namespace, in a bounded number of steps.

    One in `<noscript>` counts if there is no other: that may not end where it should.
    """
    steps = MAX_TITLE_SEARCH_STEPS
    without_scripts: LexborNode | None = None
    for node in titles:
        tags = _tags_from_root(node, steps)
        steps -= len(tags)
        if steps <= 0:
            break
        if _is_html(tags):
            return node
        if without_scripts is None and _is_in_html_namespace(tags):
            without_scripts = node
    return without_scripts


def _tags_from_root(node: LexborNode, limit: int) -> list[str]:
    """Return the tags from the root to a node; of a deeper node the innermost `limit`."""
    tags: list[str] = []
    above: LexborNode | None = node
    while above is not None and len(tags) < limit:
        tags.append(above.tag or "")
        above = above.parent
    return tags[::-1]


def _is_html(tags: Sequence[str]) -> bool:
    """Return whether the last of these nested elements is an HTML element in a browser.

    One that runs scripts has no elements in `<noscript>`.
    """
    return "noscript" not in tags and _is_in_html_namespace(tags)


def _is_in_html_namespace(tags: Sequence[str]) -> bool:
    """Return whether the last of these nested elements is in the HTML namespace.

    lexbor does not expose namespaces, but an element's ancestors determine its own.
    """
    inside = namespace = "html"
    for tag in tags:
        namespace = tag if inside == "html" and tag in ("svg", "math") else inside
        leads_back = tag in _INTEGRATION_POINTS.get(namespace, ())
        inside = "html" if leads_back else namespace
    return namespace == "html"
