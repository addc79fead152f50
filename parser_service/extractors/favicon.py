"""Extract the icon of a page."""

from parser_service.markup.document import Document


def favicon(document: Document) -> str | None:
    """Return the first icon that the page declares, as an absolute URL; None if it has none.

    Browsers then request `/favicon.ico`, but the page does not say whether that exists.
    """
    for relation in ("icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon"):
        for link in document.links:
            if relation in link.rel and (url := document.absolute_url(link.href)):
                return url
    return None
