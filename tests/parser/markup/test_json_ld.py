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
    assert [node.get("n") for node in parsed.nodes] == [None, 1, 2, 3, None]


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
        ([{"k": 5}, {"k": "later"}], None),
        ([{"k": {"other": "x"}}, {"k": "later"}], None),
        ([{"k": " "}], None),
        ([{"x": "k"}], None),
        ([], None),
    ],
)
def test_the_first_value_of_a_key_counts_if_it_is_text(
    values: list[dict[str, Any]], text: str | None
) -> None:
    assert _parse(*values).first_text("k", "url", "name") == text


def test_reading_stops_at_the_limits() -> None:
    big = {"a": "x" * (MAX_KEPT_LENGTH // 3)}
    assert len(_parse(*[big] * 5).objects) == 2
    late = JsonLd.parse(["[" + " " * MAX_READ_LENGTH, '{"a": 1}'])
    assert late.objects == []
