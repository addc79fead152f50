"""Send the cookies that the redirects of one page have set, as a browser would (RFC 6265bis).

A page's cookies live as long as its redirects are followed: no page sees those of another. They
are kept with the redirects as they came, also while a job is parked, and read when a request is
sent. Values go back to the letter, which the jars of Python's libraries do not promise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from functools import cache
from ipaddress import ip_address
from time import time
from typing import Self
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

from parser_service.fetching.hop import Hop
from parser_service.fetching.url_guard import VettedUrl

_BLANK = " \t"
MAX_COOKIES_PER_HOP = 50
"""Set-Cookie headers that are kept of one response."""
MAX_COOKIE_LENGTH = 4096
"""Characters of one Set-Cookie; browsers drop longer ones."""
MAX_COOKIES_LENGTH = 16 * 1024
"""Characters of all Set-Cookie headers of one response."""


def bounded(headers: Sequence[str]) -> tuple[str, ...]:
    """Return the Set-Cookie headers of a response that are kept: short ones of plain ASCII."""
    kept: list[str] = []
    left = MAX_COOKIES_LENGTH
    for header in headers[:MAX_COOKIES_PER_HOP]:
        is_plain = header.isascii() and header.isprintable()
        if is_plain and len(header) <= min(MAX_COOKIE_LENGTH, left):
            kept.append(header)
            left -= len(header)
    return tuple(kept)


def cookie_header(hops: Sequence[Hop], target: VettedUrl) -> str | None:
    """Return the value of the Cookie header for a request, or None if it carries none.

    Args:
        hops: the redirects that were followed, in order.
        target: what is requested next.
    """
    jar: dict[tuple[str, str, str], _Cookie] = {}
    for hop in hops:
        place = _Place.of(hop.url) if hop.set_cookies else None
        for header in hop.set_cookies:
            if place and (cookie := _Cookie.read(header, place)):
                jar.pop(cookie.key, None)
                if not cookie.has_expired:
                    jar[cookie.key] = cookie
    if not jar:
        return None
    place = _Place.of(target.url)
    sent = [cookie for cookie in jar.values() if cookie.goes_to(place)]
    sent.sort(key=lambda cookie: len(cookie.path), reverse=True)
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in sent) or None


@dataclass(frozen=True, slots=True)
class _Place:
    """What decides about cookies in a URL; `is_secure` stands for HTTPS."""

    host: str
    path: str
    is_secure: bool

    @classmethod
    def of(cls, url: str) -> Self:
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.path or "/", parts.scheme == "https")


@dataclass(frozen=True, slots=True)
class _Cookie:
    name: str
    value: str
    domain: str
    path: str
    is_host_only: bool
    is_secure: bool
    has_expired: bool

    @classmethod
    def read(cls, header: str, place: _Place) -> Self | None:
        """Return what a browser keeps of a Set-Cookie header; None if nothing."""
        pair, *attributes = header.split(";")
        name, is_pair, value = (part.strip(_BLANK) for part in pair.partition("="))
        if not is_pair or not name:
            return None
        named = {
            key.strip(_BLANK).lower(): text.strip(_BLANK)
            for key, _, text in (attribute.partition("=") for attribute in attributes)
        }
        domain = named.get("domain", "").lower().removeprefix(".")
        if domain not in ("", place.host) and not _may_set(place.host, domain):
            return None
        path = named.get("path", "")
        cookie = cls(
            name=name,
            value=value,
            domain=domain or place.host,
            path=path if path.startswith("/") else place.path.rpartition("/")[0] or "/",
            is_host_only=not domain or _is_alone(domain),
            is_secure="secure" in named,
            has_expired=_has_expired(named),
        )
        return cookie if cookie._obeys_secure_and_prefix_rules(place, named) else None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.name, self.domain, self.path

    def goes_to(self, place: _Place) -> bool:
        """Return whether a request carries it."""
        is_of_host = place.host == self.domain or (
            not self.is_host_only and place.host.endswith("." + self.domain)
        )
        is_of_path = place.path == self.path or place.path.startswith(self.path.rstrip("/") + "/")
        return is_of_host and is_of_path and (place.is_secure or not self.is_secure)

    def _obeys_secure_and_prefix_rules(self, place: _Place, named: dict[str, str]) -> bool:
        """Return whether it is what its name says, and may be set from where it came."""
        name = self.name.lower()
        if self.is_secure and not place.is_secure:
            return False
        if name.startswith("__host-"):
            return self.is_secure and "domain" not in named and named.get("path") == "/"
        return self.is_secure or not name.startswith("__secure-")


def _may_set(host: str, domain: str) -> bool:
    return host.endswith("." + domain) and not _is_address(host) and not _is_alone(domain)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _is_alone(host: str) -> bool:
    """Return whether cookies of a host are of no other host: a public suffix, or an address."""
    return _is_address(host) or bool(_suffixes().is_public(host))


def _has_expired(named: dict[str, str]) -> bool:
    """Return whether the cookie deletes another; Max-Age goes before Expires."""
    seconds = named.get("max-age", "")
    if seconds.removeprefix("-").isdecimal():
        return seconds.startswith("-") or not seconds.strip("0")
    try:
        expires = parsedate_tz(named.get("expires", ""))
        return expires is not None and mktime_tz(expires) <= time()
    except (ValueError, OverflowError):
        return False


def need_suffixes(hops: Sequence[Hop]) -> bool:
    """Return whether the public suffixes are needed for these redirects, and not yet loaded."""
    return not _suffixes.cache_info().currsize and any(
        "domain" in header.lower() for hop in hops for header in hop.set_cookies
    )


def load_suffixes() -> None:
    """Load the public suffixes, which takes a tenth of a second: call it in a thread."""
    _suffixes()


@cache
def _suffixes() -> PublicSuffixList:
    """Load the list when a cookie first names a domain: most processes never need it."""
    return PublicSuffixList()
