"""Extract the language of a page."""

import re

from parser_service.markup.document import Document

_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,5}")


def language(document: Document) -> str | None:
    """Return the language tag (BCP 47) that the page declares, with hyphens; None if it has none.

    It is the root element's `lang`, else the Content-Language pragma, else Open Graph's locale.
    """
    declared = (
        document.language,
        (document.first_meta("content-language") or "").partition(",")[0],
        document.first_meta("og:locale"),
    )
    for tag in declared:
        text = (tag or "").strip()
        if _LANGUAGE_TAG.fullmatch(text):
            return text.replace("_", "-")
    return None
