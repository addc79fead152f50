"""Extract the name of a page's site."""

from parser_service.markup.document import Document
from parser_service.markup.json_ld import text_of

MAX_LENGTH = 1000


def site_name(document: Document) -> str | None:
    """Return the site's name for previews, else that of JSON-LD, else its publisher's."""
    text = (
        document.first_meta("og:site_name", "application-name", "apple-mobile-web-app-title")
        or _json_ld_site_name(document)
        or document.json_ld.first_text("publisher", "name")
        or document.first_meta("dc.publisher")
    )
    return text[:MAX_LENGTH] if text else None


def _json_ld_site_name(document: Document) -> str | None:
    sites = (node for node in document.json_ld.nodes if node.get("@type") == "WebSite")
    return next((name for site in sites if (name := text_of(site.get("name")))), None)
