"""Addresses in one form."""

import pytest

from api_service.accounts.email import normalise_email


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  Ada@EXAMPLE.org\n", "ada@example.org"),
        ("admin@localhost", "admin@localhost"),
        ("ada+x@example.org", "ada+x@example.org"),
        ("A\u030a@example.org", "å@example.org"),
        ("a@" + "b" * 252, "a@" + "b" * 252),
    ],
)
def test_an_address_has_one_form(text: str, expected: str) -> None:
    assert normalise_email(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "ada", "ada@", "@example.org", "a@b@c", "a b@example.org", "a@.org"),
        *("a\x00@example.org", "a@exa\x00mple.org", "\ud800@example.org", "a@b\u202e.org"),
        "a@" + "b" * 253,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        normalise_email(text)
