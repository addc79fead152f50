"""Extract the keywords of a page."""

import re

from parser_service.markup.document import Document
from parser_service.markup.json_ld_values import decoded, items_of, value_of
from parser_service.markup.text import collapse_whitespace

MAX_KEYWORDS = 50
MAX_KEYWORD_LENGTH = 200
"""Characters; a longer keyword is cut."""

MAX_LIST_LENGTH = 20_000
"""Characters of a list of keywords that are read."""

_SEPARATORS = re.compile("[,;\N{IDEOGRAPHIC COMMA}\N{FULLWIDTH COMMA}\N{FULLWIDTH SEMICOLON}]")


def keywords(document: Document) -> list[str]:
    """Return the keywords that the page gives itself, each once, in the order of the page."""
    lists = [
        *document.meta.get("keywords", ()),
        *document.meta.get("news_keywords", ()),
        *(_json_ld_keyword_texts(document)),
    ]
    words = [word for text in lists for word in _SEPARATORS.split(text[:MAX_LIST_LENGTH])]
    words += document.meta.get("article:tag", ())
    cleaned = (collapse_whitespace(word)[:MAX_KEYWORD_LENGTH] for word in words)
    return list(dict.fromkeys(filter(None, cleaned)))[:MAX_KEYWORDS]


def _json_ld_keyword_texts(document: Document) -> list[str]:
    for work in document.json_ld.works:
        values = items_of(value_of(work, "keywords"))
        if words := [
            decoded(word[:MAX_LIST_LENGTH]) for word in values if isinstance(word, str) and word
        ]:
            return words
    return []
