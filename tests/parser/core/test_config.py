"""The parser's settings: what they take, and what they say of what they do not take."""

import pytest

from parser_service.config import Settings


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("FETCH_NAMESERVERS", "garbage", "write 192.0.2.1"),
        ("FETCH_NAMESERVERS", "10.0.0.1,dns.example", "dns.example is not an address"),
        ("FETCH_NAMESERVERS", "10.0.0.1:70000", "10.0.0.1:70000 is not an address"),
        ("FETCH_NAMESERVERS", "10.0.0.999", "10.0.0.999 is not an address"),
        ("FETCH_TIMEOUT", "abc", "it must be seconds above 0, at most 600."),
        ("FETCH_ALLOWED_PORTS", "http", "http is not a port"),
        ("FETCH_CA_BUNDLE", "/nowhere", "/nowhere is not a file"),
    ],
)
def test_an_invalid_value_is_shown_with_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        Settings.load_or_exit()
    assert str(ended.value).startswith(f"{variable} is {value!r}")
    assert says in str(ended.value)


def test_the_value_of_a_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "http://:opensesame@127.0.0.1/")
    with pytest.raises(SystemExit) as ended:
        Settings.load_or_exit()
    assert "opensesame" not in str(ended.value)


@pytest.mark.parametrize(
    "value", ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:53"]
)
def test_nameservers_are_addresses(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FETCH_NAMESERVERS", f" {value} , 127.0.0.1")
    assert Settings.load_or_exit().fetch_nameservers == (value, "127.0.0.1")
