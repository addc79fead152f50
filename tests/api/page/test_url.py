"""The normal form of a URL, and what has none."""

import pytest

from api_service.page.url import MAX_NORMALISED_LENGTH, normalise_url
from tests.support.cases import cases


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("HTTPS://Example.com", "https://example.com/"),
        ("http://example.com:80/a/../b?x=1#y", "http://example.com/b?x=1#y"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("https://b\u00fccher.example/", "https://xn--bcher-kva.example/"),
        ("  https://example.com/ a\n", "https://example.com/%20a"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
    ],
)
def test_a_url_is_read_as_a_browser_reads_it(text: str, normal: str) -> None:
    assert normalise_url(text) == normal


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("example.com", "begin with http:// or https://"),
        ("", "begin with"),
        ("http://", "valid host"),
        ("http://\ud800.example/", "valid host"),
        ("ftp://example.com/", "begin with"),
        ("javascript:alert(1)", "begin with"),
        ("http://user@example.com/", "user name"),
        ("http://:secret@example.com/", "user name"),
        ("http://example.com:0/", "host and port"),
        ("http://example.com/" + "\u00e4" * MAX_NORMALISED_LENGTH, "at most 8,192"),
    ],
)
def test_what_cannot_be_fetched_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        normalise_url(text)


def test_the_normal_form_is_a_fixed_point() -> None:
    for case in cases("url_differentials.jsonl"):
        try:
            normal = normalise_url(case["input"])
        except ValueError:
            continue
        assert normalise_url(normal) == normal
