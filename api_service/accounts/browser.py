"""Set, read and clear the cookie of a browser's session."""

from collections.abc import Iterator

from fastapi import Request, Response

from api_service.accounts.service import SESSION_LIFETIME
from api_service.edge.session_cookie import COOKIE_NAME, SECURE_COOKIE_NAME, cookie_name, is_secure


def set_session_cookie(request: Request, response: Response, token: str) -> None:
    """Hand a session to the browser: no script can read it, no other site can send it."""
    response.set_cookie(
        cookie_name(request.scope),
        token,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        path="/",
        secure=is_secure(request.scope),
        httponly=True,
        samesite="strict",
    )


def clear_session_cookie(request: Request, response: Response) -> None:
    """Have the browser forget the session."""
    response.delete_cookie(
        cookie_name(request.scope),
        path="/",
        secure=is_secure(request.scope),
        httponly=True,
        samesite="strict",
    )


def session_tokens(request: Request) -> Iterator[str]:
    """Yield the tokens that the browser sent: also that of the other scheme."""
    for name in (SECURE_COOKIE_NAME, COOKIE_NAME):
        if name in request.cookies:
            yield request.cookies[name]
