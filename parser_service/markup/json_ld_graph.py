"""Order the nodes of JSON-LD: which of them describe the page, and which of them others mean."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum, auto
from typing import Any

from parser_service.markup.json_ld_values import text_of, types_of, value_of

Node = Mapping[str, Any]

MAX_NODES = 2000
"""Nodes of a page that are looked at."""
MAX_WORKS = 50
"""Nodes that may state a fact."""
MAX_COMPARED = 400
"""Nodes whose addresses are compared with the page's own."""
MAX_DEPTH = 5
"""Levels of `@graph` and of main entities in each other."""


class Rank(IntEnum):
    """List kinds of nodes, by how much they say about the page.

    Attributes:
        ARTICLE: an article, a posting or a report.
        WORK: another work or thing, such as a recipe.
        PAGE: the page that has it.
        UNTYPED: what has no type.
        OTHER: what is only beside or within it, such as the site, people and pictures.
    """

    ARTICLE = auto()
    WORK = auto()
    PAGE = auto()
    UNTYPED = auto()
    OTHER = auto()


_ARTICLES = ("Article", "Posting", "BlogPost", "Report")
_OTHERS = frozenset(
    {
        *("Organization", "NewsMediaOrganization", "Corporation", "LocalBusiness", "Person"),
        *("WebSite", "Blog", "ImageObject", "ImageGallery", "VideoObject", "AudioObject"),
        *("MediaObject", "Comment", "UserComments", "Answer", "Review", "UserReview"),
        *("BreadcrumbList", "ItemList", "ListItem", "SearchAction", "Offer", "AggregateOffer"),
        *("AggregateRating", "Rating", "PostalAddress", "ContactPoint", "Place", "Brand"),
        *("SiteNavigationElement", "WebPageElement", "WPHeader", "WPFooter", "WPSideBar"),
        *("SpeakableSpecification", "SoftwareApplication", "WebApplication", "MobileApplication"),
    }
)


def nodes_of(objects: Iterable[Node]) -> Iterator[Node]:
    """Return objects and what they have under `@graph` or as their main entity, in order."""
    for found in objects:
        yield from _within(found, MAX_DEPTH)


def _within(node: Node, depth: int) -> Iterator[Node]:
    yield node
    if not depth:
        return
    for key in ("@graph", "mainEntity", "mainEntityOfPage"):
        value = value_of(node, key)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from _within(item, depth - 1)


def by_id(objects: Iterable[Node]) -> dict[str, Node]:
    """Return all nodes, however deep, by their `@id`; of the same, the one that says the most."""
    found: dict[str, Node] = {}
    values: list[Any] = list(objects)
    while values:
        value = values.pop()
        if isinstance(value, dict):
            name = value.get("@id")
            if isinstance(name, str) and len(value) > len(found.get(name, ())):
                found[name] = value
            values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)
    return found


def works_of(nodes: Iterable[Node], *, url: str) -> Sequence[Node]:
    """Return the nodes that describe the page, the most important first.

    Of several of one rank, that with the page's own URL comes first.
    """
    ranked = sorted(
        ((rank, node) for node in nodes if (rank := _rank(node)) is not Rank.OTHER),
        key=lambda pair: pair[0],
    )
    if len(ranked) > 1 and ranked[0][0] is ranked[1][0]:
        own = _path_and_query(url)
        ranked = ranked[:MAX_COMPARED]
        ranked.sort(key=lambda pair: (pair[0], _distance(pair[1], own)))
    return [node for _, node in ranked[:MAX_WORKS]]


def _rank(node: Node) -> Rank:
    types = types_of(node)
    if any(kind.endswith(_ARTICLES) for kind in types):
        return Rank.ARTICLE
    if not types:
        return Rank.UNTYPED
    if any(kind.endswith("Page") for kind in types):
        return Rank.PAGE
    return Rank.OTHER if types & _OTHERS else Rank.WORK


_OTHER_PATH = 3
_ADDRESSES = ("url", "mainEntityOfPage", "@id")


def _distance(node: Node, own: tuple[str, str]) -> int:
    """Return how far a node's addresses are from the page's own, or from those without a query.

    A canonical address mostly lacks a query; two different ones often name two pages.
    """
    path, query = own
    if not path:
        return _OTHER_PATH
    found = _OTHER_PATH
    for address in _addresses(node):
        its_path, its_query = _path_and_query(address)
        if its_path == path:
            found = min(found, 0 if its_query == query else 2 if its_query and query else 1)
    return found


def _addresses(node: Node) -> Iterator[str]:
    values = (value_of(node, key) for key in _ADDRESSES)
    addresses = (text_of(value, "@id", "url") for value in values if value is not None)
    return filter(None, addresses)


def _path_and_query(url: str) -> tuple[str, str]:
    path, _, query = url.partition("://")[2].partition("/")[2].partition("#")[0].partition("?")
    return path.rstrip("/"), query
