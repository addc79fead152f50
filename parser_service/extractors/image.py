"""The picture that stands for a page."""

from parser_service.markup.document import Document


def image(document: Document) -> str | None:
    """The picture for those who share the page, as an absolute URL."""
    linked = next((link.href for link in document.links if "image_src" in link.rel), None)
    candidates = (
        document.first_meta("og:image:secure_url", "og:image", "og:image:url"),
        document.first_meta("twitter:image", "twitter:image:src"),
        linked,
        document.json_ld.first_text("image", "url", "contentUrl"),
        document.first_meta("thumbnail", "image"),
    )
    return next(filter(None, map(document.absolute_url, candidates)), None)
