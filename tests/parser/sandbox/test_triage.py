"""A page goes where it cannot hold up others, decided without parsing it."""

import pytest

from parser_service.markup.content_type import Markup
from parser_service.markup.depth import MAX_OPEN_ELEMENTS
from parser_service.parser import RawPage
from parser_service.sandbox.triage import (
    MAX_IN_THREAD_BYTES,
    MAX_INLINE_BYTES,
    MAX_INLINE_XHTML_BYTES,
    MAX_START_TAGS,
    ParseLocation,
    choose_parse_location,
    parses_quickly,
)


def test_what_may_take_long_is_told_apart() -> None:
    assert parses_quickly(b"<p>text</p>" * 5000)
    assert not parses_quickly(b"<div>" * 9000)
    assert not parses_quickly(b"<p " + b" ".join(b"a%d" % n for n in range(5000)) + b">")
    assert parses_quickly(b"")


def test_a_page_that_is_not_parsed_in_a_child_need_not_be_cut() -> None:
    assert MAX_START_TAGS <= MAX_OPEN_ELEMENTS


def _attributes(form: str, count: int = 16_000) -> bytes:
    return ("<p " + "".join(form.format(n=f"{n:x}") for n in range(count)) + ">").encode()


def _reopened(form: bytes, count: int, paragraphs: int) -> bytes:
    return b"<p>" + b"".join(form % n for n in range(count)) + b"<p>x" * paragraphs


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(_attributes("a{n} "), id="without values"),
        pytest.param(_attributes('a{n}="<p>"'), id="with tags in values"),
        pytest.param(_attributes("a{n}='<p>'"), id="in the other quotes"),
        pytest.param(_attributes("a{n} = '\"><b>' "), id="with a quote that closes nothing"),
        pytest.param(_attributes('a{n}="\'><b>" '), id="with the other quote"),
        pytest.param(_attributes("a{n}=\n\t'<p a=\"\">' "), id="with quoted quotes"),
        pytest.param(_attributes("<a{n} "), id="whose names look like tags"),
        pytest.param(_reopened(b"<b a%d>", 300, 1400), id="formatting elements"),
        pytest.param(_reopened(b"<FONT/a%d>", 1500, 6400), id="in capitals"),
        pytest.param(b"<p>" + b"<b><i><s><u><tt><em>" * 3 + b"<p>x" * 7000, id="without any"),
        pytest.param(b"<html " + b"a " * 4000 + b"><HTML b=c>" * 3, id="attributes of one <html>"),
        pytest.param(b"<body/a><body b=c><bODy d=e>" * 2, id="attributes of one <body>"),
        pytest.param(b"<div>" * 7000 + b"</p>" * 12_000, id="end tags that look through all"),
    ],
)
def test_no_page_hides_what_it_costs(page: bytes) -> None:
    assert not parses_quickly(page)


@pytest.mark.parametrize(
    "page",
    [
        b"<p>He said: \"don't\" and '5 > 4'.</p>" * 1000,
        b'<a href="" title=\'a > b\'><span class="x"></span>it\'s</a>' * 600,
        b"<script>if (a > b) c = 'd'; e = \"f\";</script>" * 1000,
        b"<p>" + b"<b>x</b><i>y</i><strong>z</strong>" * 1500,
        b"<p>one</p>" + b"words and words " * 400 + b"<p>two</p>",
        b"<b a=b>x</b>" * 40 + b"<p>x</p>" * 1500,
    ],
)
def test_pages_as_people_write_them_are_parsed_here(page: bytes) -> None:
    assert parses_quickly(page)


@pytest.mark.parametrize(
    ("body", "markup", "place"),
    [
        (b"", Markup.HTML, ParseLocation.INLINE),
        (b"<" * 2 + b"x" * (MAX_INLINE_BYTES - 2), Markup.HTML, ParseLocation.CHILD),
        (b"<p>text</p>" * 1000, Markup.HTML, ParseLocation.INLINE),
        (b"<p>text</p>" * (MAX_INLINE_BYTES // 11 + 1), Markup.HTML, ParseLocation.THREAD),
        (b"<p>long text</p>" * (MAX_IN_THREAD_BYTES // 16), Markup.HTML, ParseLocation.CHILD),
        (
            b"<p>much longer text, and more of it</p>" * (MAX_IN_THREAD_BYTES // 39),
            Markup.HTML,
            ParseLocation.THREAD,
        ),
        (
            b"<p>much longer text, and more of it</p>" * (MAX_IN_THREAD_BYTES // 38),
            Markup.HTML,
            ParseLocation.CHILD,
        ),
        (b"<div>" * 9000, Markup.HTML, ParseLocation.CHILD),
        (b"x" * MAX_INLINE_XHTML_BYTES, Markup.XHTML, ParseLocation.INLINE),
        (b"x" * (MAX_INLINE_XHTML_BYTES + 1), Markup.XHTML, ParseLocation.CHILD),
    ],
)
def test_a_page_is_parsed_where_it_holds_up_no_other(
    body: bytes, markup: Markup, place: ParseLocation
) -> None:
    assert choose_parse_location(RawPage(body, markup, "https://example.com/")) is place


_REOPENED = _reopened(b"<b a%d>", 300, 1000).decode()


@pytest.mark.parametrize(
    ("body", "declared_charset"),
    [
        pytest.param(_REOPENED.encode("utf-16"), None, id="UTF-16 by its mark"),
        pytest.param(_REOPENED.encode("utf-16-be"), "utf-16be", id="UTF-16 by its header"),
        pytest.param(
            _REOPENED.encode().replace(b"<b", b"<\x1b(Bb"), "iso-2022-jp", id="vanishing bytes"
        ),
        pytest.param(
            b'<script type="application/LD+json">[' + b"{}," * 4000, "utf-8", id="many objects"
        ),
        pytest.param(
            b"1+1" * 100 + b"<script type=application/ld+json>[" + b"{}," * 4000,
            "utf-8",
            id="many objects after plus signs",
        ),
    ],
)
def test_an_encoding_hides_no_costs(body: bytes, declared_charset: str | None) -> None:
    page = RawPage(body, Markup.HTML, "https://example.com/", declared_charset)
    assert choose_parse_location(page) is ParseLocation.CHILD


def test_a_short_page_with_many_steps_is_parsed_in_a_thread() -> None:
    page = RawPage(b"<span>" * 5000 + b"</x>" * 7000, Markup.HTML, "https://example.com/")
    assert choose_parse_location(page) is ParseLocation.THREAD


_LATE = b"<!--" + b"x" * 1100 + b"--><meta charset=koi8-r>"


def test_a_page_that_may_be_parsed_twice_counts_twice() -> None:
    body = _LATE + b"<p>much longer text</p>" * 1600
    choices = [
        choose_parse_location(RawPage(body, Markup.HTML, "https://example.com/", declared))
        for declared in (None, "koi8-r")
    ]
    assert choices == [ParseLocation.THREAD, ParseLocation.INLINE]
    early = RawPage(b"<meta charset=koi8-r>" + body, Markup.HTML, "https://example.com/")
    assert choose_parse_location(early) is ParseLocation.INLINE


def test_a_page_with_long_tags_is_parsed_in_a_thread() -> None:
    tag = b"<p " + b" ".join(b"%x" % n for n in range(1900)) + b">"
    page = RawPage(tag * 6, Markup.HTML, "https://example.com/")
    assert choose_parse_location(page) is ParseLocation.THREAD
