"""Extract the feeds that a page links to."""

from parser_service.markup.document import Document
from parser_service.page import Feed

MAX_FEEDS = 20
MAX_TITLE_LENGTH = 300

_FEED_TYPES = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml"}
)


def feeds(document: Document) -> list[Feed]:
    """Return each linked feed once, in the order of the page."""
    found: dict[str, Feed] = {}
    for link in document.links:
        kind = link.type.partition(";")[0].strip()
        if (
            "alternate" in link.rel
            and kind in _FEED_TYPES
            and (url := document.absolute_url(link.href))
        ):
            found.setdefault(
                url, Feed(url=url, type=kind, title=link.title[:MAX_TITLE_LENGTH] or None)
            )
    return list(found.values())[:MAX_FEEDS]
