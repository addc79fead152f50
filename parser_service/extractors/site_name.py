"""What the site calls itself."""

from collections.abc import Sequence

from parser_service.extractors.json_ld import Node, first, nodes, text_of
from parser_service.markup.document import Document

MAX_LENGTH = 1000


def site_name(document: Document, objects: Sequence[Node]) -> str | None:
    """The name for those who share the page, else its publisher's."""
    text = (
        document.first_meta("og:site_name", "application-name", "apple-mobile-web-app-title")
        or _of_web_site(objects)
        or text_of(first(objects, "publisher"), "name")
        or document.first_meta("dc.publisher")
    )
    return text[:MAX_LENGTH] if text else None


def _of_web_site(objects: Sequence[Node]) -> str | None:
    sites = (node for node in nodes(objects) if node.get("@type") == "WebSite")
    return next((name for site in sites if (name := text_of(site.get("name")))), None)
