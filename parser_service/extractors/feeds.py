"""The feeds that a page points to."""

from parser_service.markup.document import Document

MAX_FEEDS = 20
MAX_TITLE = 300

_TYPES = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml"}
)


def feeds(document: Document) -> list[tuple[str, str, str | None]]:
    """Each feed's absolute URL, its type and its title, if it has one."""
    found: dict[str, tuple[str, str, str | None]] = {}
    for link in document.links:
        kind = link.type.partition(";")[0].strip()
        if "alternate" in link.rel and kind in _TYPES and (url := document.absolute(link.href)):
            found.setdefault(url, (url, kind, link.title[:MAX_TITLE] or None))
    return list(found.values())[:MAX_FEEDS]
