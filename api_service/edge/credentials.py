"""Find the token that a request shows, without judging it."""

from dataclasses import dataclass, field

from starlette.types import Scope

from api_service.edge.session_cookie import cookie_name

MAX_TOKEN_LENGTH = 256
"""Characters of a token; ours have 42."""
SESSION_PREFIX = "pps_"
"""What begins the token of a session, which alone may come in a cookie."""


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A token that came with a request.

    Attributes:
        text: the token; None for what cannot be one.
        is_cookie: whether a browser added it by itself.
    """

    text: str | None = field(repr=False)
    is_cookie: bool


def read_token(scope: Scope) -> ShownToken | None:
    """Return the token of the `Authorization` header, else that of the session's cookie.

    Schemes other than Bearer are for proxies before us, and are ignored.
    """
    bearers = []
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, rest = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                bearers.append(rest.strip())
    if bearers:
        return ShownToken(_decode(bearers[0]) if len(bearers) == 1 else None, is_cookie=False)
    cookies = set(_read_cookies(scope, cookie_name(scope).encode()))
    if not cookies:
        return None
    # Of two with one name the browser does not say which one another site has planted.
    text = _decode(cookies.pop()) if len(cookies) == 1 else None
    is_session = text is not None and text.startswith(SESSION_PREFIX)
    return ShownToken(text if is_session else None, is_cookie=True)


def _read_cookies(scope: Scope, wanted: bytes) -> list[bytes]:
    found = []
    for name, value in scope["headers"]:
        if name == b"cookie":
            pairs = (part.strip().partition(b"=") for part in value.split(b";"))
            found += [text for key, _, text in pairs if key == wanted]
    return found


def _decode(token: bytes) -> str | None:
    if not (0 < len(token) <= MAX_TOKEN_LENGTH and all(0x21 <= byte <= 0x7E for byte in token)):
        return None
    return token.decode("ascii")
