"""Extract the directives of a page for search engines."""

from parser_service.markup.document import Document

MAX_DIRECTIVES = 20
MAX_DIRECTIVE_LENGTH = 100


def robots(document: Document) -> list[str]:
    """Return the directives of the robots `<meta>` and of X-Robots-Tag, in lower case, each once.

    A header's directive for a single robot (`bingbot: nofollow`) keeps that robot's name.
    """
    lists = [*document.meta.get("robots", ()), *document.robots_headers]
    directives = (
        part.strip().lower()[:MAX_DIRECTIVE_LENGTH] for text in lists for part in text.split(",")
    )
    return list(dict.fromkeys(filter(None, directives)))[:MAX_DIRECTIVES]
