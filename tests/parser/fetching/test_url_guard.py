"""The URL door and the table of addresses."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_service.exceptions import BlockedAddressError, InvalidUrlError
from parser_service.fetching.url_guard import UrlGuard, is_public, parse_url

guard = UrlGuard()


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTPS://EXAMPLE.com:443/a b?q=\u00e9#part", "https://example.com/a%20b?q=%C3%A9"),
        ("  http://example.com/%2F?a=%2f ", "http://example.com/%2F?a=%2f"),
        ("http:\\\\example.com\\a", "http://example.com/a"),
        ("http://b\u00fccher.example/", "http://xn--bcher-kva.example/"),
    ],
)
def test_a_url_is_put_into_its_normal_form(url: str, normal: str) -> None:
    assert guard.vet(url).url == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://:password@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://exa mple.com/",
        "http://[::1",
        "http://example.com/" + "a" * 8192,
        "http://example.com/\ud800",
    ],
)
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrlError):
        guard.vet(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "http://0/",
        "http://example.com:22/",
        "http://\u2460\u2461\u2466.0.0.1/",
    ],
)
def test_what_must_not_be_connected_to_is_refused(url: str) -> None:
    with pytest.raises(BlockedAddressError):
        guard.vet(url)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("192.88.98.1", True),
        ("192.88.99.1", False),
        ("100.63.255.255", True),
        ("100.64.0.0", False),
        ("100.127.255.255", False),
        ("100.128.0.0", True),
        ("172.15.255.255", True),
        ("172.16.0.0", False),
        ("172.31.255.255", False),
        ("172.32.0.0", True),
        ("198.17.255.255", True),
        ("198.18.0.1", False),
        ("223.255.255.255", True),
        ("224.0.0.1", False),
        ("239.255.255.255", False),
        ("240.0.0.0", False),
        ("255.255.255.255", False),
        ("2606:4700::1111", True),
        ("2001:200::1", True),
        ("2001:0:1::1", False),
        ("2001:db8::1", False),
        ("2002:7f00:1::", False),
        ("3fff::1", False),
        ("64:ff9b::7f00:1", False),
        ("::ffff:8.8.8.8", True),
        ("::ffff:10.0.0.1", False),
        ("::", False),
        ("fc00::1", False),
        ("ff02::1", False),
    ],
)
def test_the_table_decides_what_is_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "255.255.255.255"),
        ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ],
)
def test_a_refused_block_is_refused_to_its_ends_and_its_neighbours_are_public(
    first: str, last: str
) -> None:
    start, end = ip_address(first), ip_address(last)
    assert not is_public(start)
    assert not is_public(end)
    if int(start) > 0:
        assert is_public(start - 1)
    if int(end) < 2**end.max_prefixlen - 1:
        assert is_public(end + 1)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://example.com/a/b", "http://example.com"),
        ("http://a.b/c/d", "http://a.b"),
        ("https://example.com:8443/?q=/", "https://example.com:8443"),
        ("http://[2606:4700::1111]/", "http://[2606:4700::1111]"),
    ],
)
def test_the_origin_ends_where_the_path_begins(url: str, origin: str) -> None:
    assert parse_url(url).origin == origin


@pytest.mark.parametrize(
    ("url", "host_key"),
    [
        ("http://example.com/", "example.com"),
        ("https://example.com/", "example.com"),
        ("http://example.com:443/", "example.com"),
        ("http://example.com:81/", "example.com:81"),
        ("https://[2606:4700::1111]:8443/", "2606:4700::1111:8443"),
    ],
)
def test_a_host_is_counted_by_its_name_and_any_unusual_port(url: str, host_key: str) -> None:
    assert parse_url(url).host_key == host_key


def test_a_url_has_a_longest_length_as_given_and_in_its_normal_form() -> None:
    longest = "http://example.com/".ljust(8192, "a")
    assert parse_url(longest).url == longest
    for url in (
        f"{longest}a",
        "http://example.com/".ljust(8193),
        "http://example.com/" + "\u00e9" * 3000,
    ):
        with pytest.raises(InvalidUrlError):
            parse_url(url)


def test_a_url_that_was_admitted_cannot_be_changed() -> None:
    vetted = guard.vet("http://example.com/")
    with pytest.raises(AttributeError):
        vetted.host = "127.0.0.1"  # type: ignore[misc]


def test_an_operator_can_allow_networks_and_ports() -> None:
    allowing = UrlGuard(allowed_networks=[ip_network("10.1.0.0/16")], allowed_ports=[8080])
    assert allowing.vet("http://10.1.2.3:8080/").host == "10.1.2.3"
    assert allowing.vet("http://[::ffff:10.1.2.3]:8080/").port == 8080
    for url in ("http://10.2.0.1:8080/", "http://10.1.2.3/"):
        with pytest.raises(BlockedAddressError):
            allowing.vet(url)


def test_a_zone_names_no_public_address() -> None:
    with pytest.raises(BlockedAddressError):
        guard.vet_address("2606:4700::1111%eth0")


def test_a_redirect_target_goes_through_the_same_door() -> None:
    assert guard.vet("/b?c", base="http://example.com/a").url == "http://example.com/b?c"
    with pytest.raises(BlockedAddressError):
        guard.vet("//127.0.0.1/", base="http://example.com/")
    with pytest.raises(InvalidUrlError):
        guard.vet("gopher://example.com/", base="http://example.com/")


@given(st.text(max_size=300) | st.text(max_size=300).map("http://{}".format))
def test_the_door_answers_any_text_and_what_passes_stays_as_it_is(url: str) -> None:
    try:
        target = parse_url(url)
    except InvalidUrlError:
        return
    assert target.scheme in ("http", "https")
    assert 1 <= target.port <= 65535
    assert parse_url(target.url) == target


@given(st.ip_addresses())
def test_an_address_is_judged_the_same_in_every_notation(address: object) -> None:
    parsed = ip_address(str(address))
    try:
        guard.vet_address(str(address))
    except BlockedAddressError:
        assert not is_public(parsed)
    else:
        assert is_public(parsed)
    if parsed.version == 4:
        assert is_public(ip_address(f"::ffff:{parsed}")) == is_public(parsed)
