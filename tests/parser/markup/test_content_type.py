"""Content-Type headers and sniffing, by the WHATWG's rules."""

import pytest

from parser_service.markup.content_type import ContentType, Markup, extract, markup_of, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text/html", ContentType("text/html")),
        ("TEXT/HTML;CHARSET=GBK", ContentType("text/html", "GBK")),
        (" text/html ; charset=utf-8 ", ContentType("text/html", "utf-8")),
        ('text/html;charset="gb\\k"', ContentType("text/html", "gbk")),
        ('text/html;charset="gbk', ContentType("text/html", "gbk")),
        ("text/html;charset=gbk;charset=utf-8", ContentType("text/html", "gbk")),
        ("text/html;charset =gbk", ContentType("text/html")),
        ('text/html;charset="";charset=gbk', ContentType("text/html", "")),
        ("text/html;;;;charset=gbk", ContentType("text/html", "gbk")),
        ("text/", None),
        ("/html", None),
        ("text html", None),
        ("", None),
    ],
)
def test_a_mime_type_is_read_as_the_standard_says(text: str, expected: ContentType | None) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        (["text/plain", "text/html"], ContentType("text/html")),
        (["text/html;charset=gbk", "text/html"], ContentType("text/html", "gbk")),
        (["text/html;charset=gbk", "text/html;charset=utf-8"], ContentType("text/html", "utf-8")),
        (["text/html;charset=gbk", "text/plain", "text/html"], ContentType("text/html")),
        (["text/html", "*/*"], ContentType("text/html")),
        (['text/html;x=",text/plain'], ContentType("text/html")),
    ],
)
def test_several_headers_amount_to_one_type(
    values: list[str], expected: ContentType | None
) -> None:
    assert extract(values) == expected


@pytest.mark.parametrize(
    ("head", "is_html"),
    [
        (b"<!DOCTYPE html><p>", True),
        (b"\n\t <html>", True),
        (b"\xef\xbb\xbf<!-- x", True),
        ("\N{ZERO WIDTH NO-BREAK SPACE}<title>x".encode("utf-16-le"), True),
        (b"<htmlx>", False),
        (b"plain text <html>", False),
        (b"%PDF-1.7", False),
        (b"", False),
    ],
)
def test_without_a_type_the_first_bytes_decide(head: bytes, is_html: bool) -> None:
    assert markup_of(None, head) == (Markup.HTML if is_html else None)
    assert markup_of(ContentType("unknown/unknown"), head) == (Markup.HTML if is_html else None)


def test_a_declared_type_is_not_doubted() -> None:
    assert markup_of(ContentType("text/html"), b"%PDF-1.7") == Markup.HTML
    assert markup_of(ContentType("application/xhtml+xml"), b"") == Markup.XHTML
    assert markup_of(ContentType("text/plain"), b"<html>") is None
