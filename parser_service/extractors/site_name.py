"""What the site calls itself."""

from parser_service.markup.document import Document
from parser_service.markup.json_ld import text_of

MAX_LENGTH = 1000


def site_name(document: Document) -> str | None:
    """The name for those who share the page, else its publisher's."""
    text = (
        document.first_meta("og:site_name", "application-name", "apple-mobile-web-app-title")
        or _of_web_site(document)
        or document.json_ld.first_text("publisher", "name")
        or document.first_meta("dc.publisher")
    )
    return text[:MAX_LENGTH] if text else None


def _of_web_site(document: Document) -> str | None:
    sites = (node for node in document.json_ld.nodes if node.get("@type") == "WebSite")
    return next((name for site in sites if (name := text_of(site.get("name")))), None)
