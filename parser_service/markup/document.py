"""What the extractors look at: the parts of a page that say something about it.

A page is parsed once and read once, whichever parser read it, so that an extractor is a
function of this and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import ada_url

from parser_service.markup.json_ld import JsonLd
from parser_service.markup.text import collapse

MAX_URL = 2083
"""Characters of a URL among the facts; a longer one is left out."""


@dataclass(frozen=True, slots=True)
class Link:
    """A `<link>` with an address.

    Attributes:
        rel: its relations, in lower case.
    """

    rel: frozenset[str]
    href: str
    type: str
    title: str


@dataclass(frozen=True, slots=True)
class Document:
    """A page, read.

    Attributes:
        base_url: what relative addresses are resolved against.
        language: the root element's `lang`, as it stands there.
        title: the text of the first HTML title element, or None where there is none.
        heading: the text of the first `<h1>`, for a page without a title.
        meta: contents of `<meta>` by `name`, `property`, `itemprop` or `http-equiv`, in lower
            case; several of a name in the order of the page.
        links: in the order of the page.
        json_ld: the objects of its JSON-LD scripts.
        robots_headers: values of X-Robots-Tag headers.
    """

    base_url: str
    language: str | None = None
    title: str | None = None
    heading: str | None = None
    meta: Mapping[str, Sequence[str]] = field(default_factory=dict)
    links: Sequence[Link] = ()
    json_ld: JsonLd = field(default_factory=JsonLd)
    robots_headers: Sequence[str] = ()

    def first_meta(self, *names: str) -> str | None:
        """The first content that is not blank, of the first name that has one."""
        for name in names:
            for content in self.meta.get(name, ()):
                if text := collapse(content):
                    return text
        return None

    def absolute_url(self, address: str | None) -> str | None:
        """An address as an absolute http or https URL; None if it is none, or too long."""
        if not address or len(address) > MAX_URL:
            return None
        try:
            url = ada_url.URL(address, base=self.base_url)
        except ValueError:
            return None
        if url.protocol not in ("http:", "https:") or len(url.href) > MAX_URL:
            return None
        return str(url.href)
