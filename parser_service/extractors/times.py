"""Choose among the times that a page states for people's software."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from parser_service.extractors.time_formats import as_iso_8601
from parser_service.markup.document import Document
from parser_service.markup.json_ld_values import first_of, value_of

MAX_TEXTS = 200
"""Texts that are looked at in one place."""


def stated_times(
    document: Document, names: Sequence[str], keys_of_json_ld: Sequence[str]
) -> Iterator[str]:
    """Return the times in ISO 8601 whose formats leave no doubt, the most reliable first.

    Args:
        document: the page.
        names: names of `<meta>` elements, the most reliable first.
        keys_of_json_ld: likewise, of the works in the page's JSON-LD.
    """
    # An article's own property is the most reliable, then JSON-LD, then older names.
    of_metas = (content for name in names for content in document.meta.get(name, ()))
    yield from _readable(document.meta.get(names[0], ()))
    yield from _readable(_of_json_ld(document, keys_of_json_ld))
    yield from _readable(of_metas)


def _of_json_ld(document: Document, keys: Sequence[str]) -> Iterator[str]:
    for work in document.json_ld.works:
        values = (first_of(value_of(work, key)) for key in keys)
        yield from (str(value) for value in values if isinstance(value, str | int))


def _readable(texts: Iterable[str]) -> Iterator[str]:
    return (time for text in islice(texts, MAX_TEXTS) if (time := as_iso_8601(text)))
