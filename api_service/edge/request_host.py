"""Read which host a request names, so that no two readings of it can differ."""

import re
from dataclasses import dataclass

from starlette.types import Scope

from api_service.edge.session_cookie import is_secure
from api_service.settings.hosts import read_host_name

TARGET_AUTHORITY_SCOPE_KEY = "page_parser.target_authority"
"""The member of a request's scope with the host of a target that is no path; see `protocol.py`."""
DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(https?)://([^/?#]+)")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a browser compares to tell sites apart."""

    scheme: str
    host: str
    port: int


def read_origin(text: str) -> Origin | None:
    """Read the value of an `Origin` header; None for `null` and for all that is not http(s)."""
    found = _ORIGIN.fullmatch(text.lower())
    return None if found is None else _origin(found[1], found[2])


def read_own_origin(scope: Scope) -> Origin | None:
    """Return the origin that a request asks; None if it names no host, or more than one.

    A trusted proxy may have set the scheme.
    """
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1:
        return None
    target = scope.get(TARGET_AUTHORITY_SCOPE_KEY)
    if target is not None and target.lower() != hosts[0].lower():
        return None  # RFC 9112, section 3.2.2: the target counts, and proxies may go by either
    scheme = "https" if is_secure(scope) else "http"
    return _origin(scheme, hosts[0].decode("latin-1").lower())


def _origin(scheme: str, authority: str) -> Origin | None:
    found = _AUTHORITY.fullmatch(authority)
    if found is None or (host := read_host_name(found[1])) is None:
        return None
    port = int(found[2]) if found[2] else DEFAULT_PORTS[scheme]
    return Origin(scheme, host, port)
