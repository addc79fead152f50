"""The site's small icon."""

from parser_service.markup.document import Document


def favicon(document: Document) -> str | None:
    """The first icon that the page declares, as an absolute URL; None where it declares none.

    Browsers then ask for `/favicon.ico`; whether there is one, the page does not say.
    """
    for relation in ("icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon"):
        for link in document.links:
            if relation in link.rel and (url := document.absolute_url(link.href)):
                return url
    return None
