"""Extract the name of a page's site."""

from itertools import islice

from parser_service.markup.document import Document
from parser_service.markup.json_ld_values import text_of, types_of

MAX_LENGTH = 1000
MAX_SITES = 20
"""Nodes that describe the site whose names are looked at."""


def site_name(document: Document) -> str | None:
    """Return the site's name for previews, else that of JSON-LD, else its publisher's.

    Where a page has both, the name of its WebSite is that for previews more often than its
    publisher's, and both more often than the name for home screens, which is a short one.
    """
    text = (
        document.first_meta("og:site_name")
        or _json_ld_site_name(document)
        or document.json_ld.first_text("publisher", "name")
        or document.first_meta("application-name", "apple-mobile-web-app-title", "dc.publisher")
    )
    return text[:MAX_LENGTH] if text else None


def _json_ld_site_name(document: Document) -> str | None:
    sites = (node for node in document.json_ld.nodes if "WebSite" in types_of(node))
    return next(
        (name for site in islice(sites, MAX_SITES) if (name := text_of(site, "name"))), None
    )
