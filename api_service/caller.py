"""The caller: each use case takes one, and each statement on a caller's behalf its owner."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Scope(StrEnum):
    """Name what a caller may do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """Bound what one caller may use; None is no bound of the caller's own.

    Attributes:
        requests_per_minute: HTTP requests.
        unfinished_requests: parse requests that have not ended.
        stored_bytes: bytes of stored pages.
    """

    requests_per_minute: int | None = None
    unfinished_requests: int | None = None
    stored_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request, who sees no other caller's requests.

    Attributes:
        owner_id: owns what the caller creates; None for anonymous callers, who share one view.
        scopes: what the caller may do.
        limits: what the caller may use.
        credential_id: the session or key that was shown; None for anonymous callers.
    """

    owner_id: UUID | None = None
    scopes: frozenset[Scope] = frozenset({Scope.READ, Scope.WRITE})
    limits: CallerLimits = CallerLimits()
    credential_id: str | None = None


CALLER_SCOPE_KEY = "page_parser.caller"
"""The member of a request's scope that holds its caller."""

ANONYMOUS = Caller()
"""A caller without an account. Its requests have no owner."""


@dataclass(frozen=True, slots=True)
class CallerLookup:
    """Find the caller to whom a session token or an API key belongs.

    Attributes:
        find: takes the token and returns its caller, or None for a token that is not valid now.
    """

    find: Callable[[str], Awaitable[Caller | None]]
