"""A page goes where it cannot hold up others, decided without parsing it."""

import pytest

from parser_service.markup.content_type import Markup
from parser_service.parser import RawPage
from parser_service.sandbox.triage import (
    MAX_IN_THREAD,
    MAX_INLINE,
    MAX_INLINE_XHTML,
    Place,
    choose_place,
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
        (b"", Markup.HTML, Place.INLINE),
        (b"<" * 2 + b"x" * (MAX_INLINE - 2), Markup.HTML, Place.CHILD),
        (b"<p>text</p>" * 1000, Markup.HTML, Place.INLINE),
        (b"<p>text</p>" * (MAX_INLINE // 11 + 1), Markup.HTML, Place.THREAD),
        (b"<p>long text</p>" * (MAX_IN_THREAD // 16), Markup.HTML, Place.CHILD),
        (
            b"<p>much longer text, and more of it</p>" * (MAX_IN_THREAD // 39),
            Markup.HTML,
            Place.THREAD,
        ),
        (
            b"<p>much longer text, and more of it</p>" * (MAX_IN_THREAD // 38),
            Markup.HTML,
            Place.CHILD,
        ),
        (b"<div>" * 9000, Markup.HTML, Place.CHILD),
        (b"x" * MAX_INLINE_XHTML, Markup.XHTML, Place.INLINE),
        (b"x" * (MAX_INLINE_XHTML + 1), Markup.XHTML, Place.CHILD),
    ],
)
def test_a_page_is_parsed_where_it_holds_up_no_other(
    body: bytes, markup: Markup, place: Place
) -> None:
    assert choose_place(RawPage(body, markup, "https://example.com/")) is place
