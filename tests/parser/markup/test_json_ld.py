"""JSON-LD is read within limits, and values are found as pages nest them."""

import json
from typing import Any

import pytest

from parser_service.markup.json_ld import MAX_KEPT_LENGTH, MAX_READ_LENGTH, JsonLd


def _parse(*values: object) -> JsonLd:
    return JsonLd.parse(json.dumps(value) for value in values)


def test_objects_of_lists_come_one_by_one_and_others_are_left_out() -> None:
    parsed = JsonLd.parse(['[{"a": 1}, 2, {}]', "no JSON", '{"b": 2}', '"text"'])
    assert parsed.objects == [{"a": 1}, {"b": 2}]


def test_nodes_are_objects_and_those_of_their_graphs_in_order() -> None:
    parsed = _parse({"@graph": [{"n": 1}, "x", {"n": 2}]}, {"n": 3}, {"@graph": {"n": 4}})
    assert [node.get("n") for node in parsed.nodes] == [None, 1, 2, 3, None, 4]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([{"k": " a \n b "}], "a b"),
        ([{"k": ""}, {"k": "second"}], "second"),
        ([{"k": []}, {"k": ["first", "second"]}], "first"),
        ([{"k": {"name": "N", "url": "U"}}], "U"),
        ([{"k": {"name": "N"}}], "N"),
        ([{"k": [{"url": "U"}]}], "U"),
        ([{"@graph": [{"k": "g"}]}], "g"),
        ([{"k": 5}, {"k": "later"}], "later"),
        ([{"k": {"other": "x"}}, {"k": "later"}], "later"),
        ([{"k": {"@value": "v", "@language": "de"}}], "v"),
        ([{"k": {"@list": ["l", "m"]}}], "l"),
        ([{"k": {"name": {"@value": "N"}}}], "N"),
        ([{"k": {"name": ["N"]}}], "N"),
        ([{"k": "Q&amp;A &#8217; &quot;x&quot;"}], 'Q&A \u2019 "x"'),
        ([{"k": "R&amp;amp;D"}], "R&D"),
        ([{"k": "/i?a=1&copy=2"}], "/i?a=1&copy=2"),
        ([{"https://schema.org/k": "spelled out"}], "spelled out"),
        ([{"k": " "}], None),
        ([{"x": "k"}], None),
        ([], None),
    ],
)
def test_the_first_text_of_a_key_counts(values: list[dict[str, Any]], text: str | None) -> None:
    assert _parse(*values).first_text("k", "url", "name") == text


def test_reading_stops_at_the_limits() -> None:
    big = {"a": "x" * (MAX_KEPT_LENGTH // 3)}
    assert len(_parse(*[big] * 5).objects) == 2
    late = JsonLd.parse(["[" + " " * MAX_READ_LENGTH, '{"a": 1}'])
    assert late.objects == []


@pytest.mark.parametrize(
    "beside",
    [
        {"@type": "Organization", "k": "wrong"},
        {"@type": "WebSite", "k": "wrong"},
        {"@type": "WebPage", "k": "wrong"},
        {"@type": ["Person", "Organization"], "k": "wrong"},
        {"@type": "VideoObject", "k": "wrong"},
        {"@type": "Comment", "k": "wrong"},
        {"k": "wrong"},
    ],
)
def test_the_articles_facts_come_before_those_of_what_is_beside_it(beside: dict[str, Any]) -> None:
    article = {"@type": ["Thing", "http://schema.org/NewsArticle"], "k": "right"}
    for found in (
        _parse(beside, article),
        _parse([beside, article]),
        _parse({"@graph": [beside, article]}),
        _parse(beside | {"mainEntity": article}),
        _parse(beside | {"mainEntityOfPage": {"@type": "WebPage", "mainEntity": article}}),
    ):
        assert found.first_text("k") == "right"


def test_of_several_articles_that_of_the_pages_own_url_counts() -> None:
    others = [{"@type": "Article", "url": f"/{n}", "k": "wrong"} for n in range(3)]
    own = {"@type": "Article", "mainEntityOfPage": {"@id": "https://a.example/own/"}, "k": "right"}
    texts = [json.dumps([*others, own])]
    assert JsonLd.parse(texts, url="https://a.example/own?x=1").first_text("k") == "right"


def test_a_reference_means_the_node_that_says_the_most_wherever_that_is() -> None:
    person = {"@id": "#p", "@type": "Person", "name": "P"}
    found = _parse(
        {"@type": "Article", "k": {"@id": "#p"}},
        {"@graph": [{"x": {"y": [person]}}, {"@id": "#p"}]},
    )
    assert found.first_text("k", "name") == "P"


def test_references_in_a_circle_end() -> None:
    found = _parse({"@id": "#a", "k": {"@id": "#b"}}, {"@id": "#b", "k": {"@id": "#a"}})
    assert found.first_text("k", "name") is None


def test_facts_are_read_of_objects_that_are_not_kept() -> None:
    big = {"@type": "BreadcrumbList", "a": ["x" * 100] * (MAX_KEPT_LENGTH // 90)}
    found = _parse(big, {"@type": "Article", "k": "right"})
    assert (found.objects, found.first_text("k")) == ([], "right")
