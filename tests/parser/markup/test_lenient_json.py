"""JSON that people write by hand is read where its meaning is plain, in linear time."""

from time import process_time
from typing import Any

import pytest

from parser_service.markup.lenient_json import MAX_VALUES, values


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '\ufeff {"a": 1} ;',
        '<!-- {"a": 1} -->',
        '<!-- made by a plugin -->\n{"a": 1}',
        '<![CDATA[{"a": 1}]]>',
        '//<![CDATA[\n{"a": 1}\n//]]>',
        '// <![CDATA[ {"a": 1} // ]]>',
        '/*<![CDATA[*/ {"a": 1} /*]]>*/',
        '<!--//--><![CDATA[//><!--\n{"a": 1}\n//--><!]]>',
        '\ufeff<!-- /* c */ // d\n{"a": /* e */ 1, // f\n} -->',
        '{"a": 1,}',
        '{"a": 1,, }',
        "{&quot;a&quot;: 1}",
    ],
)
def test_what_is_round_and_within_it_is_left_out(text: str) -> None:
    assert values(text) == [{"a": 1}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "x\ny\tz"}', [{"a": "x\ny\tz"}]),
        ('{"a": "http://b//c", "d": "/* e */ <!-- f --> ,}",}', None),
        (r'{"a": "it\'s \d\u00e9 \"q\" \\ ",}', [{"a": 'it\'s d\xe9 "q" \\ '}]),
        ('{"a": NaN, "b": [Infinity]}', [{"a": None, "b": [None]}]),
        ('{"a": 1}\n{"b": 2}', [{"a": 1}, {"b": 2}]),
        ('["a",]', [["a"]]),
        ("", []),
        ("{broken", []),
        ('{"a": }', []),
        ("{'a': 1}", []),
        ('{"a": 1} and more', []),
        ("[" * 100_000, []),
        ('{"a": ' + "9" * 5000 + "}", []),
    ],
)
def test_only_what_is_plain_is_read(text: str, expected: list[Any] | None) -> None:
    if expected is None:
        expected = [{"a": "http://b//c", "d": "/* e */ <!-- f --> ,}"}]
    assert values(text) == expected


def test_the_number_of_values_is_bounded() -> None:
    assert len(values("{}" * 10 * MAX_VALUES)) == MAX_VALUES


@pytest.mark.parametrize(
    "piece",
    ["/*", '"', '"\\', "\\", ",   ", "//", "<!--", " ", "[1,]", '{"a":1,}', "// ", "]]>", '""'],
)
@pytest.mark.parametrize("start", ["", "{", '{"a', '["'])
def test_the_time_is_proportional_to_the_length(start: str, piece: str) -> None:
    text = start + piece * (80_000 // len(piece))
    short, long = _seconds(text[: len(text) // 8]), _seconds(text)
    assert long < 0.02 or long < 30 * short


def _seconds(text: str) -> float:
    times = []
    for _ in range(2):
        started = process_time()
        values(text)
        times.append(process_time() - started)
    return min(times)
