"""Refuse what a page of another site has a browser send.

A browser adds cookies, and reaches loopback addresses, whichever page asks it to. What it says of
that page in `Origin` and `Sec-Fetch-Site`, no page can change. Programs send neither.
"""

from starlette.types import Scope

from api_service.edge.exceptions import CrossSiteError
from api_service.edge.request_host import read_origin, read_own_origin

_OWN_SITES = (b"same-origin", b"none")
"""`none` is a person: an address typed, or a bookmark."""


def require_same_origin(scope: Scope) -> None:
    """Check that no page of another origin sent this.

    Raises:
        CrossSiteError: one did, or it cannot be told.
    """
    for name, value in scope["headers"]:
        if name == b"sec-fetch-site" and value not in _OWN_SITES:
            raise CrossSiteError
        if name == b"origin":
            origin = read_origin(value.decode("latin-1"))
            if origin is None or origin != read_own_origin(scope):
                raise CrossSiteError
