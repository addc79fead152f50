"""Hold the parts of a page that say something about it, for the extractors.

A page is parsed once, by either parser, so that an extractor is a function of a `Document` and
nothing else. What almost every page needs is read at once; elements of the text are looked for
only if an extractor asks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ada_url

from parser_service.markup.elements import Elements
from parser_service.markup.json_ld import JsonLd
from parser_service.markup.text import collapse_whitespace

Found = TypeVar("Found")

MAX_URL_LENGTH = 2083
"""Characters of a URL among the facts; longer ones are left out."""


@dataclass(frozen=True, slots=True)
class Link:
    """Hold a `<link>` that has an address.

    Attributes:
        rel: its relations, in lower case.
        href: its address, as the page spells it.
        type: its MIME type in lower case, empty if it has none.
        title: empty if it has none.
    """

    rel: frozenset[str]
    href: str
    type: str
    title: str


@dataclass(frozen=True, slots=True)
class Document:
    """Hold what was read of a page.

    Attributes:
        base_url: the base of relative addresses.
        url: the page's own, after redirects.
        language: the root element's `lang`, unchanged.
        title: the text of the first HTML title element; None if there is no such element.
        heading: the text of the first `<h1>`, for a page without a title.
        meta: contents of `<meta>` by `name`, `property`, `itemprop` or `http-equiv`, in lower
            case; those of one name in the order of the page.
        links: in the order of the page.
        json_ld: the objects of its JSON-LD scripts.
        elements: finds what the page shows to its readers.
        refresh: the content of the first `<meta http-equiv=refresh>` outside `<noscript>`.
        robots_headers: values of X-Robots-Tag headers.
    """

    base_url: str
    url: str = ""
    language: str | None = None
    title: str | None = None
    heading: str | None = None
    meta: Mapping[str, Sequence[str]] = field(default_factory=dict)
    links: Sequence[Link] = ()
    json_ld: JsonLd = field(default_factory=JsonLd)
    elements: Elements = field(default_factory=Elements, compare=False)
    refresh: str | None = None
    robots_headers: Sequence[str] = ()
    _found: dict[Callable[["Document"], Any], Any] = field(default_factory=dict, compare=False)

    def once(self, find: Callable[["Document"], Found]) -> Found:
        """Return what a function finds in this document, for facts that share it."""
        if find not in self._found:
            self._found[find] = find(self)
        found: Found = self._found[find]
        return found

    def first_meta(self, *names: str) -> str | None:
        """Return the first content that is not blank, of the first name that has one."""
        for name in names:
            for content in self.meta.get(name, ()):
                if text := collapse_whitespace(content):
                    return text
        return None

    def absolute_url(self, address: str | None) -> str | None:
        """Return an address as an absolute http or https URL; None if it is not one or too long."""
        if not address or len(address) > MAX_URL_LENGTH:
            return None
        try:
            url: str = ada_url.join_url(self.base_url, address)
        except ValueError:
            return None
        is_kept = url.startswith(("http:", "https:")) and len(url) <= MAX_URL_LENGTH
        return url if is_kept else None
