"""Bytes to facts: encodings and titles, as tables."""

from dataclasses import replace

import pytest

from parser_service.markup.content_type import Markup
from parser_service.parser import ParsedPage, RawPage
from parser_service.parser import parse as parse_source

# "Page" in Japanese and in Russian, and a mark outside ASCII.
JAPANESE, RUSSIAN, ACCENTED = "\u30da\u30fc\u30b8", "\u0421\u0442\u0440\u0430\u043d", "caf\u00e9"


def parse(
    body: bytes, *, markup: Markup = Markup.HTML, declared_charset: str | None = None
) -> ParsedPage:
    return parse_source(RawPage(body, markup, "https://example.com/", declared_charset))


def _page(title: str, encoding: str, meta: str = "") -> bytes:
    return f"<!doctype html>{meta}<title>{title}</title><p>".encode(encoding)


@pytest.mark.parametrize(
    ("body", "declared", "title", "charset"),
    [
        pytest.param(_page(RUSSIAN, "utf-8"), "utf-8", RUSSIAN, "utf-8", id="header"),
        pytest.param(
            _page(RUSSIAN, "cp1251"),
            "CP1251",
            RUSSIAN,
            "windows-1251",
            id="another label",
        ),
        pytest.param(
            _page(RUSSIAN, "utf-8-sig"), "windows-1251", RUSSIAN, "utf-8", id="mark over header"
        ),
        pytest.param(
            _page(JAPANESE, "shift_jis", "<meta charset=shift_jis>"),
            None,
            JAPANESE,
            "shift_jis",
            id="meta",
        ),
        pytest.param(
            _page(JAPANESE, "utf-8", "<meta charset=shift_jis>"),
            "utf-8",
            JAPANESE,
            "utf-8",
            id="header over meta",
        ),
        pytest.param(
            _page(
                RUSSIAN,
                "cp1251",
                '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">',
            ),
            "no-such-label",
            RUSSIAN,
            "windows-1251",
            id="http-equiv, after an unknown label",
        ),
        pytest.param(
            _page(RUSSIAN, "cp1251", f"<!-- {'x' * 1500} --><meta charset=windows-1251>"),
            None,
            RUSSIAN,
            "windows-1251",
            id="late meta",
        ),
        pytest.param(
            _page(RUSSIAN, "utf-8", "<meta charset=utf-16le>"),
            None,
            RUSSIAN,
            "utf-8",
            id="utf-16 in a meta that is readable as ASCII",
        ),
        pytest.param(
            _page(ACCENTED, "utf-8", "<!-- <meta charset=shift_jis> -->"),
            None,
            ACCENTED,
            "utf-8",
            id="a meta in a comment is none; UTF-8 is guessed",
        ),
        pytest.param(
            _page(ACCENTED, "cp1252"), None, ACCENTED, "windows-1252", id="nothing declared"
        ),
        pytest.param(
            _page(JAPANESE, "utf-16"), None, JAPANESE, "utf-16le", id="utf-16 with its mark"
        ),
        pytest.param(
            b'<?xml version="1.0" encoding="windows-1251"?>' + _page(RUSSIAN, "cp1251"),
            None,
            RUSSIAN,
            "windows-1251",
            id="XML declaration",
        ),
    ],
)
def test_a_page_is_decoded_as_a_browser_would(
    body: bytes, declared: str | None, title: str, charset: str
) -> None:
    facts = parse(body, markup=Markup.HTML, declared_charset=declared)
    assert (facts.title, facts.charset) == (title, charset)
    assert title in facts.html


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<title>A</title>", "A"),
        ("<p>no title", ""),
        ("<title></title><title>B</title>", ""),
        ("<title>\n A\t B \r\f</title>", "A B"),
        ("<title>\u00a0A\u3000</title>", "\u00a0A\u3000"),
        ("<title>A &amp; &lt;b&gt; <i>B</i></title>", "A & <b> <i>B</i>"),
        ("<svg><title>drawing</title></svg><title>page</title>", "page"),
        ("<math><title>formula</title></math><title>page</title>", "page"),
        ("<svg><foreignObject><title>A</title></foreignObject></svg>", "A"),
        ("<svg><desc><p><title>A</title></desc></svg><title>B</title>", "A"),
        ("<template><title>A</title></template><title>B</title>", "B"),
        ("<body><p>text<title>late</title>", "late"),
        ("<math><mi><svg><title>A</title></svg></mi></math><title>B</title>", "B"),
        ("<svg>" * 50 + "<title>A</title>" + "</svg>" * 50 + "<title>B</title>", "B"),
        ("<svg><desc>" * 2000 + "<title>A</title>", "A"),
        ("<svg>" * 3000 + "<title></title>" * 3000, ""),
        ("<title>never closed", "never closed"),
        ("<title>A\0B&#0;&#xD800;</title>", "A\ufffdB\ufffd\ufffd"),
        ("<title>" + "x" * 5000 + "</title>", "x" * 1000),
        ("", ""),
    ],
)
def test_the_title_is_the_browsers_document_title(html: str, title: str) -> None:
    assert parse(html.encode(), markup=Markup.HTML, declared_charset="utf-8").title == title


def test_what_is_stored_has_no_nul() -> None:
    facts = parse(b"<title>a</title>\0b", markup=Markup.HTML, declared_charset="utf-8")
    assert facts.html == "<title>a</title>\ufffdb"


@pytest.mark.parametrize(
    ("xml", "title"),
    [
        ('<html xmlns="http://www.w3.org/1999/xhtml"><head><title>A</title></head></html>', "A"),
        ('<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><p>x</p></html>', ""),
        ("<html><head><title>of no namespace</title></head></html>", ""),
        (
            '<h xmlns="http://www.w3.org/1999/xhtml"><title>A<!-- x --> B</title></h>',
            "A B",
        ),
        ('<html xmlns="http://www.w3.org/1999/xhtml"><title>A</title><p>not closed', "A"),
    ],
)
def test_xhtml_is_read_as_xml(xml: str, title: str) -> None:
    assert parse(xml.encode(), markup=Markup.XHTML).title == title


@pytest.mark.parametrize(
    "declarations",
    [
        '<!ENTITY x SYSTEM "file:///etc/passwd">',
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY x "&a;&a;&a;&a;">',
        "".join(f'<!ENTITY x{n} "{10 * f"&x{n - 1};"}">' for n in range(1, 12))
        + '<!ENTITY x "&x11;">',
    ],
    ids=["a file", "nested", "a bomb"],
)
def test_entities_of_a_page_are_not_expanded(declarations: str) -> None:
    xml = (
        f"<!DOCTYPE html [{declarations}]>"
        '<html xmlns="http://www.w3.org/1999/xhtml"><title>A&nbsp;&x;</title></html>'
    )
    assert len(parse(xml.encode(), markup=Markup.XHTML).title) < 50


@pytest.mark.parametrize(
    "text", ["", "http://a", "&#xD800;", "<a>&#xD800;&#0;</a>", "\x0b<", "<\ud7ff"]
)
def test_what_is_no_xml_has_no_title(text: str) -> None:
    assert parse(text.encode(), markup=Markup.XHTML).title == ""


def test_named_characters_are_known_in_xhtml() -> None:
    xml = '<html xmlns="http://www.w3.org/1999/xhtml"><title>A&nbsp;&eacute;&lt;&zz;</title></html>'
    assert parse(xml.encode(), markup=Markup.XHTML).title == "A\u00a0\u00e9<"


def test_an_xml_declaration_names_the_encoding_of_xhtml() -> None:
    body = (
        '<?xml version="1.0" encoding="windows-1251"?>'
        f'<html xmlns="http://www.w3.org/1999/xhtml"><title>{RUSSIAN}</title></html>'
    ).encode("cp1251")
    facts = parse(body, markup=Markup.XHTML)
    assert (facts.title, facts.charset) == (RUSSIAN, "windows-1251")


@pytest.mark.parametrize("title", ["<title> </title>", "<title>\n\t</title>", "<title></title>"])
def test_a_blank_title_is_none(title: str) -> None:
    raw = RawPage(
        f"{title}<h1>heading</h1>".encode(), Markup.HTML, "http://a.example/", title_fallback=True
    )
    found = parse_source(raw)
    assert (found.title, found.title_source) == ("heading", "h1")
    assert parse_source(replace(raw, title_fallback=False)).title == ""


@pytest.mark.parametrize(
    ("html", "icon"),
    [
        ("<base href='/b/'><link rel=icon href=x>", "http://a.example/b/x"),
        ("<svg><base href='/b/'></svg><link rel=icon href=x>", "http://a.example/x"),
        ("<svg><base href='/b/'></base></svg><base href='/c/'><link rel=icon href=x>",
         "http://a.example/c/x"),
        ("<svg><desc><base href='/b/'></desc></svg><link rel=icon href=x>", "http://a.example/b/x"),
    ],
)  # fmt: skip
def test_a_base_counts_if_it_is_html(html: str, icon: str) -> None:
    assert (
        parse_source(RawPage(html.encode(), Markup.HTML, "http://a.example/")).metadata.favicon
        == icon
    )


def test_a_page_that_nests_deep_has_its_title() -> None:
    body = b"<title>A</title>" + b"<div>" * 300_000
    found = parse_source(RawPage(body, Markup.HTML, "http://a.example/"))
    assert (found.title, len(found.html)) == ("A", len(body))
