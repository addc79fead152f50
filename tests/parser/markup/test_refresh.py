"""Refreshes by the HTML Standard's steps, and which of them are in place of a redirect."""

import pytest

from parser_service.markup.refresh import immediate_target

PAGE = "http://a.example/dir/page"


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("0; url=/b", "http://a.example/b"),
        ("0;URL='b'", "http://a.example/dir/b"),
        ('0; url="b" c', "http://a.example/dir/b"),
        ("1, /b", "http://a.example/b"),
        ("0 /b", "http://a.example/b"),
        ("0.5; url=/b", "http://a.example/b"),
        (".5; url=/b", "http://a.example/b"),
        ("  0  ;  url  =  http://b.example/#c", "http://b.example/"),
        ("0; url=url=/b", "http://a.example/dir/url=/b"),
        ("0; /b?url=c", "http://a.example/b?url=c"),
        ("0; url=", None),
        ("0", None),
        ("", None),
        (None, None),
        ("url=/b", None),
        ("x; url=/b", None),
        ("5; url=/b", None),
        ("99999999999999999999; url=/b", None),
        ("0; url=page", None),
        ("0; url=#part", None),
        ("0; url=javascript:alert(1)", None),
        ("0; url=file:///etc/passwd", None),
        ("0; url=http://[", None),
    ],
)
def test_a_refresh_leads_where_browsers_go(value: str | None, target: str | None) -> None:
    assert immediate_target(value, base_url=PAGE, url=PAGE) == target
