"""Texts are cut where they may nest too deep, and nowhere else."""

import pytest

from parser_service.markup.depth import BLOCK_LENGTH, MAX_OPEN_ELEMENTS, cut_where_too_deep

BEGINNING = "<title>A</title>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        BEGINNING,
        BEGINNING + "<p>text</p>" * 50_000,
        BEGINNING + "<div>" * (MAX_OPEN_ELEMENTS - 2000) + "</div>" * MAX_OPEN_ELEMENTS,
        "</p>" * 50_000 + "<p>" * 100,
        BEGINNING + "<p>" + "<img src=x><br>" * 14_000,
        BEGINNING + "<svg></svg>" + "<IMG src=x><br/>" * 14_000,
        BEGINNING + "<table>" + ("<tr>" + "<td>1" * 10) * 2000,
        BEGINNING + "<ul>" + "<li><a href=x>t</a>" * 20_000,
        BEGINNING + "<script>" + "if(a<b)c();" * 20_000 + "</script>",
        BEGINNING + "<script>" + "if(a<b&&c>d)e();" * 10_000 + "</script>",
    ],
)
def test_a_text_that_does_not_nest_deep_is_left_alone(text: str) -> None:
    assert cut_where_too_deep(text) == text


@pytest.mark.parametrize(
    "text",
    [
        BEGINNING + "<div>" * 300_000,
        BEGINNING + "<div>" * 150_000 + "</div>" * 150_000,
        BEGINNING + "</p>" * 50_000 + "<div><b></b>" * 100_000,
        BEGINNING + ("</p>" * 500 + "<div>" * 1000) * 100,
        BEGINNING + "<ul><li><br><div>" * 100_000,
        BEGINNING + "<svg>" + "<td>" * 300_000,
        BEGINNING + "<MATH>" + "<input>" * 300_000,
    ],
)
def test_a_text_that_nests_deep_keeps_its_beginning(text: str) -> None:
    cut = cut_where_too_deep(text)
    assert cut.startswith(BEGINNING)
    assert cut.count("<div>") - cut.count("</p>") <= MAX_OPEN_ELEMENTS + BLOCK_LENGTH // 3
    assert text.startswith(cut)
