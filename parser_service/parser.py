"""Parse a page's bytes into facts. Pure: no network, no clock, no settings.

1. Determine the encoding: byte order mark, header, `<meta>` in the first 1024 bytes.
2. Decode and parse.
3. If nothing was declared so far, look for a late `<meta>` in the parsed page; if there is
   one, decode and parse again.
4. Read the parts of the page that say something about it, and extract the facts from them.

lexbor (through selectolax) parses HTML: it conforms to HTML5 and takes a tenth of
BeautifulSoup's time. It cannot parse XHTML, which is XML; BeautifulSoup over lxml parses the
few pages that are served as XHTML (decision record 0004).
"""

from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from selectolax.lexbor import LexborHTMLParser

from parser_service.extractors.all import extract_metadata
from parser_service.extractors.title import fallback_title, title
from parser_service.markup import charset
from parser_service.markup.content_type import Markup
from parser_service.markup.decoders import REPLACEMENT_CHARACTER, decode
from parser_service.markup.depth import cut_where_too_deep
from parser_service.markup.document import Document
from parser_service.markup.faults import Faults
from parser_service.markup.lexbor import document_from_tree
from parser_service.markup.refresh import immediate_target
from parser_service.markup.text import make_storable_text, without_many_nuls
from parser_service.markup.xhtml import parse_xhtml
from parser_service.page import Metadata, TitleSource


@dataclass(frozen=True, slots=True)
class RawPage:
    """Hold an unparsed page and what the response says about it.

    Attributes:
        body: its bytes, content encoding decoded.
        markup: the kind of document.
        url: the URL that it was fetched from, after redirects.
        declared_charset: the label in the Content-Type header.
        robots_headers: values of X-Robots-Tag headers.
        refresh: the Refresh header, which comes before a `<meta>`.
        title_fallback: use `og:title` or the first `<h1>` if the title is missing.
    """

    body: bytes
    markup: Markup
    url: str
    declared_charset: str | None = None
    robots_headers: Sequence[str] = ()
    refresh: str | None = None
    title_fallback: bool = False


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """Hold the facts that parsing a page yields.

    Attributes:
        title: empty if the page has none.
        title_source: the element or property that the title is from; None without a title.
        html: the text of the whole page, storable: no NUL, no surrogates.
        charset: the page's encoding, by its name in the Encoding Standard.
        refresh_url: the URL that the page asks for in its place; see `markup/refresh.py`.
        faults: what this service failed on, a line each, for its log.
    """

    title: str
    title_source: TitleSource | None
    html: str
    charset: str
    metadata: Metadata
    refresh_url: str | None = None
    faults: Sequence[str] = ()


def parse(raw: RawPage, *, is_shallow: bool = False) -> ParsedPage:
    """Parse a page; no page makes it fail.

    Args:
        raw: the page.
        is_shallow: the page is known to have fewer start tags than may be open at a time, so
            that it need not be looked at for where to cut it.
    """
    if raw.markup is Markup.XHTML:
        text, name, document = _read_xhtml(raw)
    else:
        text, name, document = _read_html(raw, cut=_as_it_is if is_shallow else _bounded)
    document = replace(document, robots_headers=raw.robots_headers)
    faults = Faults()
    no_title: tuple[str, TitleSource | None] = ("", None)
    find_title = partial(_title, document, fallback=raw.title_fallback)
    found, origin = faults.guard("title", find_title, no_title)
    metadata = extract_metadata(document, faults)
    refresh_url = faults.guard("refresh", partial(_refresh_url, raw, document), None)
    faults.told[:0] = document.json_ld.faults
    del document  # its tree takes several times the memory of the text, which is written next
    return ParsedPage(
        title=found,
        title_source=origin,
        # Decoders yield no lone surrogates, and NUL only where the bytes have one.
        html=make_storable_text(text) if b"\0" in raw.body else text,
        charset=name,
        metadata=metadata,
        refresh_url=refresh_url,
        faults=tuple(faults.told),
    )


def _refresh_url(raw: RawPage, document: Document) -> str | None:
    asked = raw.refresh or document.refresh
    return immediate_target(asked, base_url=document.base_url, url=raw.url)


def _title(document: Document, *, fallback: bool) -> tuple[str, TitleSource | None]:
    if (own := title(document)) or (own is not None and not fallback):
        return own, TitleSource.TITLE
    return (fallback_title(document) if fallback else None) or ("", None)


def _as_it_is(text: str) -> str:
    return text


def _bounded(text: str) -> str:
    return cut_where_too_deep(without_many_nuls(text))


def _read_html(raw: RawPage, *, cut: Callable[[str], str]) -> tuple[str, str, Document]:
    """Return a page's text, the name of its encoding, and its document."""
    body = raw.body
    name = (
        charset.by_byte_order_mark(body)
        or charset.by_label(raw.declared_charset)
        or charset.by_prescan(body)
    )
    if name is not None:
        text = decode(body, name)
        tree = _parse_html(body, name, text, cut(text))
    else:
        name = charset.by_guess(body)
        text = decode(body, name)
        tree = _parse_html(body, name, text, cut(text))
        late = _charset_of_late_meta(tree)
        if late is not None and late != name:
            name = late
            text = decode(body, name)
            tree = _parse_html(body, name, text, cut(text))
    return text, name, document_from_tree(tree, url=raw.url)


def _parse_html(body: bytes, name: str, text: str, kept: str) -> LexborHTMLParser:
    """Parse a page.

    Args:
        body: its bytes.
        name: of their encoding.
        text: the same, decoded.
        kept: the part of it that is parsed.
    """
    # lexbor reads UTF-8. A text that is the same in UTF-8 as the bytes need not be encoded again.
    if kept is text and name == "utf-8" and REPLACEMENT_CHARACTER not in text:
        return LexborHTMLParser(body.removeprefix(BOM_UTF8))
    return LexborHTMLParser(kept)


def _charset_of_late_meta(tree: LexborHTMLParser) -> str | None:
    """Return the encoding declared by a `<meta>` that the prescan did not reach."""
    for node in tree.tags("meta"):
        attributes = {name: value or "" for name, value in node.attributes.items()}
        if name := charset.by_meta(attributes):
            return name
    return None


def _read_xhtml(raw: RawPage) -> tuple[str, str, Document]:
    """Return the same of an XHTML page."""
    name = (
        charset.by_byte_order_mark(raw.body)
        or charset.by_label(raw.declared_charset)
        or charset.by_xml_declaration(raw.body)
        or "utf-8"
    )
    text = decode(raw.body, name)
    return text, name, parse_xhtml(text, url=raw.url)
