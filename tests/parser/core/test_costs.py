"""What a page costs grows with its length: each of these once grew with its square, or worse.

Times are compared with those of a page of half the length, in one run: twice is linear, four times
is not. They are times of the processor, and each is the least of several.
"""

from collections.abc import Callable
from time import process_time

import pytest
from selectolax.lexbor import LexborHTMLParser

from parser_service.extractors import person_names
from parser_service.fetching import response_head
from parser_service.markup import content_type, json_ld_values
from parser_service.markup.content_type import ContentType, Markup
from parser_service.markup.elements import Elements
from parser_service.markup.refresh import immediate_target
from parser_service.parser import RawPage, parse

MAX_KEPT_LENGTH = 128 * 1024
XML = ContentType("text/xml")


def _refresh(length: int) -> None:
    immediate_target("9" * length + "x", base_url="http://a/", url="http://a/")


def _xml_start(length: int) -> None:
    assert content_type.markup_of(XML, b"<?a?>" * (length // 5) + b"x") is None


def _continued_header(length: int) -> None:
    line = b" " + b"b" * (length // 2000) + b"\r\n"
    assert response_head.mend(b"HTTP/1.1 200 OK\r\na:b\r\n" + line * 2000 + b"x\r\n\r\n")


@pytest.mark.parametrize(
    ("work", "length"),
    [
        pytest.param(_refresh, 8000, id="digits of a refresh"),
        # Twenty once took seconds, and each one more took twice as long.
        pytest.param(_xml_start, 100, id="instructions before XML"),
        pytest.param(_continued_header, 400_000, id="a header of many lines"),
    ],
)
def test_the_time_is_proportional_to_the_length(work: Callable[[int], None], length: int) -> None:
    assert _seconds(work, 2 * length) < 3 * _seconds(work, length) + 0.002


def _seconds(work: Callable[[int], None], length: int) -> float:
    def once() -> float:
        started = process_time()
        work(length)
        return process_time() - started

    return min(once() for _ in range(5))


def test_a_content_type_of_any_length_is_not_read() -> None:
    assert content_type.extract(["text/html;" + ";" * 250_000]) is None
    assert content_type.extract(["text/html; charset=x"]) == ContentType("text/html", "x")


def test_properties_that_share_a_content_do_not_multiply_it() -> None:
    names = " ".join(f"og:{n}" for n in range(500))
    body = f"<meta property='{names}' content='{'a b ' * 500}'>" * 20
    facts = parse(RawPage(body.encode(), Markup.HTML, "https://example.com/"))
    kept = [text for texts in facts.metadata.open_graph.values() for text in texts]
    assert 0 < sum(map(len, kept)) <= MAX_KEPT_LENGTH


def _json_ld_page(text: str) -> Callable[[int], None]:
    def work(_: int) -> None:
        body = f'<title>t</title><script type="application/ld+json">{text}</script>'
        parse(RawPage(body.encode(), Markup.HTML, "https://example.com/a"))

    return work


def _references(node: str, works: int) -> str:
    work = '{"@type": "Article", "author": [' + ",".join(['{"@id": "#a"}'] * 50) + "]}"
    return f'[{{"@id": "#a", "x": 1, {node}}},' + ",".join([work] * works) + "]"


@pytest.mark.parametrize(
    "node",
    [
        pytest.param('"@type": "Person", "name": "' + "A Inc," * 140 + '"', id="a list of firms"),
        pytest.param('"name": "' + "&amp;" * 1400 + '<a>"', id="entities"),
        pytest.param('"@type": "Organization", "name": "' + "&#32;" * 1400 + '"', id="blanks"),
    ],
)
def test_many_references_to_one_node_cost_what_one_costs(node: str) -> None:
    one, many = (_json_ld_page(_references(node, works)) for works in (1, 40))
    bare = _json_ld_page(_references('"name": "A B"', 40))
    assert _seconds(many, 0) < 3 * (_seconds(one, 0) + _seconds(bare, 0)) + 0.002


@pytest.mark.parametrize("key", ["author", "creator", "publisher", "image", "inLanguage"])
def test_names_of_many_works_are_read_within_a_budget(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0

    def counting(text: str) -> str:
        nonlocal read
        read += len(text)
        return text

    monkeypatch.setattr(json_ld_values, "decoded", counting)
    monkeypatch.setattr(person_names, "decoded", counting)
    member = "url" if key == "image" else "name"
    name = f'{{"{member}": "{" " * 1200}"}}'
    works = ",".join(f'{{"@type": "Article", "{key}": {name}}}' for _ in range(45))
    _json_ld_page(f"[{works}]")(0)
    assert 0 < read < 30_000


def test_the_text_of_nested_elements_is_read_within_a_budget() -> None:
    tree = LexborHTMLParser("<div class=date>" * 40 + "<p>1a" * 4000)
    nested = Elements(tree).find(".date", 40)
    assert [bool(element.lines()) for element in nested].count(True) < 20
    assert Elements(tree).find(".date", 40)[-1].lines()
