"""Text is collapsed and made storable, and nothing else is done to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_service.markup.content_type import Markup
from parser_service.markup.text import (
    MAX_NULS,
    collapse_whitespace,
    make_storable_text,
    without_many_nuls,
)
from parser_service.parser import RawPage, parse


@pytest.mark.parametrize(
    ("text", "collapsed"),
    [
        ("", ""),
        (" \t\n\x0c\r", ""),
        (" a \n\n b ", "a b"),
        ("\u00a0a\u3000b\u2028", "\u00a0a\u3000b\u2028"),
        ("\x0ba", "\x0ba"),
    ],
)
def test_only_ascii_whitespace_is_collapsed(text: str, collapsed: str) -> None:
    assert collapse_whitespace(text) == collapsed


@pytest.mark.parametrize(
    ("text", "stored"),
    [("a", "a"), ("a\0b", "a\ufffdb"), ("\ud800", "\ufffd"), ("\U0001f600", "\U0001f600")],
)
def test_what_cannot_be_stored_is_replaced(text: str, stored: str) -> None:
    assert make_storable_text(text) == stored


@given(st.text(st.characters() | st.just("\0") | st.just("\udc00")))
def test_every_text_becomes_storable_and_stays_so(text: str) -> None:
    stored = make_storable_text(text)
    assert "\0" not in stored
    assert stored.encode().decode() == stored == make_storable_text(stored)
    assert len(stored) == len(text)


def test_many_nuls_do_not_reach_the_parser_and_read_the_same() -> None:
    title = "<title>a\0b</title><p title='\0'>c"
    assert without_many_nuls(title) == title
    assert "\0" not in without_many_nuls(title + "\0" * (MAX_NULS + 1))
    few, many = (
        parse(RawPage((title + nuls).encode(), Markup.HTML, "https://example.com/", "utf-8"))
        for nuls in ("", "\0" * (MAX_NULS + 1))
    )
    assert few.title == many.title == "a\ufffdb"
    assert few.metadata == many.metadata
