"""Extract the authors of a page."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice, pairwise
from typing import Any
from urllib.parse import urlsplit

from parser_service.extractors.person_names import (
    folded,
    is_address,
    looks_like_organisation,
    name_after_by,
    people_in,
    person_named,
)
from parser_service.extractors.site_name import site_name
from parser_service.markup.document import Document
from parser_service.markup.elements import Element, class_with
from parser_service.markup.json_ld_values import first_of, items_of, text_of, types_of, value_of

MAX_AUTHORS = 20
MAX_CHARACTERS = 2500
"""Characters of all texts that are looked at in one of the places that name authors."""
CHARACTERS_OF_TEXT = 20
"""Characters that each text counts for in addition: each takes time, however short it is."""
BLANK = 100
"""Characters that a text counts for that is blank in the end: nobody knows how long it was."""
MAX_STEPS = 500
"""Authors of works that are looked at, also if all of them are one."""
MAX_NAME_LENGTH = 1000
"""Characters of one text."""
MAX_SITE_NAME_LENGTH = 300
"""Characters of a publisher's name that are compared with those of authors."""
MAX_LOOKED_AT = 6
"""Elements of one kind that are looked at."""
MAX_LINES = 40
"""Runs of text that are looked at in one element."""

_META_NAMES = (
    *("citation_author", "author", "article:author", "article:author_name", "article.author"),
    *("og:article:author", "og:author", "parsely-author", "sailthru.author", "dc.creator"),
    *("dc:creator", "dcterms.creator", "dc.creator.personalname", "dc.contributor"),
    *("byl", "byline"),
    *("authors", "creator", "cxenseparse:author", "rbauthors", "article_author"),
)
_WRITTEN_BY = re.compile(
    r"written|\bby\b|author|verfasst|autor|auteur|écrit|escrit|scritt", re.IGNORECASE
)
_NAMED = class_with("yline", "autor", "auteur", "uthor")
"""Elements whose names say that they show an author."""
_CLOSELY_NAMED = re.compile(
    r"p-author|\bfn\b|author[-_]?name|byline-name|(?:post|entry)-author|authored-by", re.IGNORECASE
)
_ORGANISATIONS = frozenset({"Organization", "NewsMediaOrganization", "Corporation", "WebSite"})
_PARTS_OF_NAME = ("givenName", "familyName")
_LARGE = frozenset({"body", "html", "main", "article", "section"})


class _PersonName(str):
    """What a page states as the name of a person, and not as a byline."""

    __slots__ = ()


def authors(document: Document) -> list[str]:
    """Return the names of the authors, each once, in the order of the page.

    Organisations count only if no person is named. Addresses of profiles, handles, the site's
    own name and words such as `admin` are not names.
    """
    organisations: list[str] = []
    sources = (
        _people_of_json_ld,
        _of_metas,
        _of_marked_elements,
        _of_text_after_heading,
        _of_named_elements,
    )
    for texts in chain.from_iterable(_within_budget(source(document)) for source in sources):
        names = _names(texts, document)
        if people := [name for name in names if not looks_like_organisation(name)]:
            return people[:MAX_AUTHORS]
        organisations = organisations or names
    if not organisations:
        named = _within_budget([_organisations_of_json_ld(document)])
        organisations = _names(chain.from_iterable(named), document)
    return organisations[:MAX_AUTHORS]


def _within_budget(lists: Iterable[Iterable[str]]) -> Iterator[list[str]]:
    """Return lists of texts, each text once, until there are no more characters left for them."""
    left = MAX_CHARACTERS
    seen: set[str] = set()
    for texts in lists:
        kept: list[str] = []
        for text in texts:
            left -= min(len(text), MAX_NAME_LENGTH) + CHARACTERS_OF_TEXT if text else BLANK
            if left < 0 and seen:
                break
            if text and text not in seen:
                seen.add(text)
                kept.append(text)
        if kept:
            yield kept
        if left < 0:
            return


def _names(texts: Iterable[str], document: Document) -> list[str]:
    found = chain.from_iterable(_people(text) for text in texts if not is_address(text))
    by_form: dict[str, str] = {}
    for name in found:
        by_form.setdefault(folded(name), name)
    own = document.once(_own_names) if by_form else set()
    return [name for form, name in by_form.items() if form and form not in own]


def _people(text: str) -> Iterator[str]:
    return person_named(text) if isinstance(text, _PersonName) else people_in(text)


def _own_names(document: Document) -> set[str]:
    """Return how the site calls itself, which many pages give as the author."""
    host = urlsplit(document.url).hostname or ""
    labels = host.split(".")
    names = [document.once(site_name) or "", host, host.removeprefix("www."), *labels[-2:-1]]
    for work in document.json_ld.works:
        publisher = document.json_ld.resolve(first_of(value_of(work, "publisher")))
        if not (isinstance(publisher, dict) and "Person" in types_of(publisher)):
            names.append(text_of(publisher, "name", limit=MAX_SITE_NAME_LENGTH) or "")
    return {folded(name) for name in names}


def _people_of_json_ld(document: Document) -> Iterator[Iterator[str]]:
    for authors_of_work in _authors_of_works(document):
        yield (_name_of(author) for author in authors_of_work if not _is_organisation(author))


def _organisations_of_json_ld(document: Document) -> Iterator[str]:
    for authors_of_work in _authors_of_works(document):
        yield from (_name_of(author) for author in authors_of_work if _is_organisation(author))


def _authors_of_works(document: Document) -> Iterator[Iterator[Any]]:
    """Return the authors of each work, each once: many works may refer to one node."""
    left = MAX_STEPS
    seen: set[int] = set()

    def unseen(authors: Iterator[Any]) -> Iterator[Any]:
        nonlocal left
        for author in map(document.json_ld.resolve, islice(authors, left)):
            left -= 1
            if id(author) not in seen:
                seen.add(id(author))
                yield author

    for work in document.json_ld.works:
        for key in ("author", "creator"):
            if (value := value_of(work, key)) is not None:
                yield unseen(items_of(value))


def _is_organisation(author: Any) -> bool:
    types = types_of(author) if isinstance(author, dict) else frozenset()
    return bool(types & _ORGANISATIONS) and "Person" not in types


def _name_of(author: Any) -> str:
    if isinstance(author, dict) and value_of(author, "name") is None:
        parts = (text_of(author, key, limit=MAX_NAME_LENGTH) for key in _PARTS_OF_NAME)
        return " ".join(filter(None, parts))
    name = text_of(author, "name", limit=MAX_NAME_LENGTH) or ""
    is_person = isinstance(author, dict) and "Person" in types_of(author)
    return _PersonName(name) if is_person else name


def _of_metas(document: Document) -> Iterator[list[str]]:
    for name in _META_NAMES:
        if texts := document.meta.get(name):
            yield [_in_order(text) if name.startswith("citation") else text for text in texts]
    for number in ("1", "2"):
        if _WRITTEN_BY.search(document.first_meta(f"twitter:label{number}") or ""):
            yield [document.first_meta(f"twitter:data{number}") or ""]


def _in_order(text: str) -> str:
    """Return a name in a list of references, `Last, First`, in its usual order."""
    last, comma, first = text.partition(",")
    return f"{first.strip()} {last.strip()}" if comma and "," not in first else text


def _of_marked_elements(document: Document) -> Iterator[list[str]]:
    marked = document.elements.marked
    for is_kind in (_is_property, _is_relation):
        found = [element for element in marked if is_kind(element)][:MAX_LOOKED_AT]
        found = [element for element in found if not element.is_aside()]
        yield [_text_of(element) for element in found if element.is_beside(found[0])]
        yield from ([_text_of(element)] for element in found[1:])


def _is_property(element: Element) -> bool:
    return bool(element.words("itemprop", "property") & {"author", "creator", "schema:author"})


def _is_relation(element: Element) -> bool:
    return "author" in element.words("rel")


def _of_named_elements(document: Document) -> Iterator[list[str]]:
    elements = document.elements.find(_NAMED, 3 * MAX_LOOKED_AT)
    small = [element for element in elements if element.tag not in _LARGE]
    for element in sorted(small, key=_closeness)[: 2 * MAX_LOOKED_AT]:
        if not element.is_aside():
            yield [_text_of(element)]


def _closeness(element: Element) -> int:
    if _CLOSELY_NAMED.search(element.names):
        return 0
    return 2 if "uthor" in element.names else 1


def _text_of(element: Element) -> str:
    element = element.within("[itemprop~=name]") or element
    content = element.attribute("content")
    return content or next(filter(_has_name, element.lines()[:MAX_LINES]), "")


def _has_name(line: str) -> bool:
    return next(people_in(line), None) is not None


def _of_text_after_heading(document: Document) -> Iterator[list[str]]:
    for line, following in pairwise([*document.elements.lines_after_heading, ""]):
        if name := name_after_by(line) or name_after_by(f"{line} {following}"):
            yield [name]
