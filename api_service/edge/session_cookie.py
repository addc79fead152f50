"""Name the cookie that carries a browser's session."""

from starlette.types import Scope

COOKIE_NAME = "page_parser_session"
SECURE_COOKIE_NAME = "__Host-page_parser_session"
"""Over TLS: browsers then refuse it from other hosts, and without `Secure`."""


def is_secure(scope: Scope) -> bool:
    """Return whether the client speaks TLS, to us or to a proxy that we believe."""
    return bool(scope.get("scheme") in ("https", "wss"))


def cookie_name(scope: Scope) -> str:
    """Return the name that the cookie has in this request."""
    return SECURE_COOKIE_NAME if is_secure(scope) else COOKIE_NAME
