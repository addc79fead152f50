"""Describe the redirects that led to a page."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hop:
    """Hold one redirect: the URL that was requested, and what its answer said.

    Attributes:
        status: of the answer; 200 if the page itself asked for another, see `refresh.py`.
        set_cookies: the Set-Cookie headers of the answer.
    """

    url: str
    status: int
    set_cookies: tuple[str, ...] = ()
