"""Refuse URLs and addresses that must not be connected to.

A connection made on a stranger's behalf passes this guard twice: its URL when it is parsed,
and its address when the socket is made. The table of addresses is our own, because Python's
`ipaddress.is_private` and `is_global` let many inside addresses pass.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NewType

import ada_url

from parser_service.exceptions import BlockedAddressError, InvalidUrlError

MAX_URL_LENGTH = 8192
"""Characters of a URL, before and after it is normalised. The API's own limit is lower."""

# IANA IPv4 Special-Purpose Address Registry, and what RFC 1112 and RFC 5771 reserve.
_IPV4_REFUSED = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)

# IANA IPv6 Special-Purpose Address Registry: global unicast is 2000::/3, less the ranges
# reserved in it (Teredo and its neighbours, documentation, 6to4, documentation again).
_IPV6_ALLOWED = IPv6Network("2000::/3")
_IPV6_REFUSED = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """Hold an http or https URL in the WHATWG's normal form.

    Attributes:
        url: without a fragment.
        host: a lower-case ASCII name or an address, without brackets.
        port: the URL's own, else the default of its scheme.
    """

    url: str
    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return self.url

    @property
    def origin(self) -> str:
        """Return scheme, host and port as the URL spells them."""
        return self.url[: self.url.index("/", len(self.scheme) + 3)]

    @property
    def host_key(self) -> str:
        """Return the key of requests to one host: its name, with any port besides 80 and 443."""
        return self.host if self.port in (80, 443) else f"{self.host}:{self.port}"

    @property
    def literal_address(self) -> IPv4Address | IPv6Address | None:
        """Return the host as an address, or None if it is a name."""
        return _read_address(self.host)


VettedUrl = NewType("VettedUrl", ParsedUrl)
"""A URL that `UrlGuard.vet` let pass; requests take no other."""


class UrlGuard:
    """Judge URLs and addresses by the table and by what the operator also allows."""

    def __init__(
        self,
        *,
        allowed_networks: Iterable[IPv4Network | IPv6Network] = (),
        allowed_ports: Iterable[int] = (80, 443),
    ) -> None:
        self._allowed_networks = tuple(allowed_networks)
        self._allowed_ports = frozenset(allowed_ports)

    def vet(self, url: str | ParsedUrl, base: str | None = None) -> VettedUrl:
        """Parse a URL unless it is parsed, against a base if one is given, and let it pass.

        Raises:
            InvalidUrlError: it is not http or https, is too long, or has user information.
            BlockedAddressError: its port or its literal address must not be connected to.
        """
        parsed = parse_url(url, base) if isinstance(url, str) else url
        if parsed.port not in self._allowed_ports:
            raise BlockedAddressError
        if parsed.literal_address is not None:
            self.vet_address(parsed.host)
        return VettedUrl(parsed)

    def vet_address(self, text: str) -> None:
        """Let a numeric address pass.

        Raises:
            BlockedAddressError: it is neither public nor allowed by the operator.
        """
        address = _read_address(text)
        if address is None or not (self._is_in_allowed_networks(address) or is_public(address)):
            raise BlockedAddressError

    def _is_in_allowed_networks(self, address: IPv4Address | IPv6Address) -> bool:
        address = _without_ipv4_mapping(address)
        return any(
            address in network
            for network in self._allowed_networks
            if network.version == address.version
        )


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether the table lets an address pass; judge an IPv4-mapped one as IPv4."""
    address = _without_ipv4_mapping(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _IPV4_REFUSED)
    return address in _IPV6_ALLOWED and not any(address in network for network in _IPV6_REFUSED)


def parse_url(url: str, base: str | None = None) -> ParsedUrl:
    """Parse a URL as the WHATWG URL Standard does, so that it is what a browser would request.

    Raises:
        InvalidUrlError: see `UrlGuard.vet`.
    """
    if len(url) > MAX_URL_LENGTH:
        raise InvalidUrlError("The URL is too long.")
    try:
        parsed = ada_url.URL(url, base=base)
    except ValueError:  # also UnicodeEncodeError, for a lone surrogate
        raise InvalidUrlError from None
    if parsed.protocol not in ("http:", "https:"):
        raise InvalidUrlError("Only http and https URLs can be fetched.")
    if parsed.username or parsed.password:
        raise InvalidUrlError("A URL with a user name or password cannot be fetched.")
    parsed.hash = ""
    if not parsed.hostname or len(parsed.href) > MAX_URL_LENGTH or parsed.port == "0":
        raise InvalidUrlError
    scheme = parsed.protocol.removesuffix(":")
    port = int(parsed.port) if parsed.port else {"http": 80, "https": 443}[scheme]
    return ParsedUrl(parsed.href, scheme, parsed.hostname.strip("[]"), port)


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        # A zone ("%eth0") names an interface of this machine; public addresses have none.
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def _without_ipv4_mapping(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
