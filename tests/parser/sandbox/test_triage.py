"""A page goes where it cannot hold up others, decided without parsing it."""

import pytest

from parser_service.markup.content_type import Markup
from parser_service.parser import RawPage
from parser_service.sandbox.triage import (
    MAX_IN_THREAD_BYTES,
    MAX_INLINE_BYTES,
    MAX_INLINE_XHTML_BYTES,
    ParseLocation,
    choose_parse_location,
    parses_quickly,
)


def test_what_may_take_long_is_told_apart() -> None:
    assert parses_quickly(b"<p>text</p>" * 5000)
    assert not parses_quickly(b"<div>" * 9000)
    assert not parses_quickly(b"<p " + b" ".join(b"a%d" % n for n in range(5000)) + b">")
    assert parses_quickly(b"")


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
