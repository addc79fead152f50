"""The words for a setting come from its type."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from api_service.settings.kinds import Bytes, FormatInWords, Seconds, require_network
from api_service.settings.sentences import describe_limits, describe_wanted_value, explain_error


class _Example(BaseModel):
    pause: Annotated[Seconds, Field(le=10)] = 1.0
    size: Annotated[Bytes, Field(ge=1024)] = 2048
    share: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    level: Literal["LOW", "HIGH", "TOP"] = "LOW"
    is_on: bool = False
    name: Annotated[str, Field(pattern="^x$"), FormatInWords("an x")] = "x"
    site_url: Annotated[str, Field(pattern="^x$"), FormatInWords("an x")] = "x"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pause", "seconds above 0, at most 10"),
        ("size", "a whole number of bytes from 1024 to 1099511627776"),
        ("share", "a number from 0 to 0.5"),
        ("level", "LOW, HIGH or TOP"),
        ("is_on", "true or false"),
        ("name", "an x"),
    ],
)
def test_a_setting_says_what_it_must_be(name: str, words: str) -> None:
    assert describe_wanted_value(_Example.model_fields[name]) == words


def test_a_limit_of_its_own_replaces_that_of_the_kind() -> None:
    assert describe_limits(_Example.model_fields["pause"]) == "above 0, at most 10"


def test_a_long_value_is_cut_and_that_of_a_url_is_not_shown() -> None:
    with pytest.raises(ValidationError) as refused:
        _Example(name="y" * 1000, site_url="secret")
    found = [explain_error(item, _Example.model_fields) for item in refused.value.errors()]
    assert found == [
        f"NAME is '{'y' * 100}'; it must be an x.",
        "SITE_URL is wrong; it must be an x.",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.1/8", "10.0.0.1/8 is an address; did you mean 10.0.0.0/8[?]"),
        ("fd00::1/8", "did you mean fd00::/8[?]"),
        ("10.0.0.0/33", "is not a network; write"),
        ("example.com", "is not a network; write"),
    ],
)
def test_what_is_no_network_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        require_network(text)
