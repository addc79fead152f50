"""Extract the language of a page."""

import re

from parser_service.extractors.text_languages import (
    GUESSED,
    fits_script,
    fits_words,
    guessed_language,
)
from parser_service.markup.document import Document

MAX_SAMPLE_LENGTH = 500
"""Characters of the page's text that are looked at."""

_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,5}")


def language(document: Document) -> str | None:
    """Return the language tag (BCP 47) of the page, with hyphens; None if it is not known.

    It is the root element's `lang`, else the Content-Language pragma, else Open Graph's locale,
    else that of JSON-LD. If two of them name different languages, or one does not fit the script
    of the text, then what the text's commonest words tell decides.
    """
    declared = _declared(document)
    summary = _summary(document)
    fitting = [tag for tag in declared if fits_script(tag, summary)]
    agreed = {_primary(tag) for tag in declared}
    if fitting and len(agreed) == 1:
        own = agreed.copy().pop()
        if fits_words(own, summary) or guessed_language(summary) in (None, own):
            return fitting[0]
    text = " ".join([summary, *document.elements.lines_after_heading])[: 2 * MAX_SAMPLE_LENGTH]
    guessed = guessed_language(text)
    agreeing = (tag for tag in fitting if _primary(tag) == guessed)
    if not agreed <= GUESSED:
        guessed = None
    return next(agreeing, None) or guessed or next(iter(fitting), None)


def _declared(document: Document) -> list[str]:
    texts = (
        document.language,
        (document.first_meta("content-language") or "").partition(",")[0],
        document.first_meta("og:locale"),
        document.json_ld.first_text("inLanguage", "alternateName", "name"),
        document.first_meta("language"),
        document.first_meta("dc.language"),
        document.first_meta("dcterms.language"),
    )
    tags = ((text or "").strip() for text in texts)
    return [tag.replace("_", "-") for tag in tags if _LANGUAGE_TAG.fullmatch(tag)]


def _primary(tag: str) -> str:
    name = tag.partition("-")[0].lower()
    return "no" if name in ("nb", "nn") else name


def _summary(document: Document) -> str:
    texts = (document.title or "", document.first_meta("description", "og:description") or "")
    return " ".join(text[:MAX_SAMPLE_LENGTH] for text in texts)
