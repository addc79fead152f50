"""What a page costs grows with its length: each of these once grew with its square, or worse.

Times are compared with those of a page of half the length, in one run: twice is linear, four times
is not. They are times of the processor, and each is the least of several.
"""

from collections.abc import Callable
from time import process_time

import pytest

from parser_service.fetching import response_head
from parser_service.markup import content_type
from parser_service.markup.content_type import ContentType, Markup
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
