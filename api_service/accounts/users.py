"""What the rooms' parts pass to each other: users, keys, who acts, and their roles' scopes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from api_service.caller import Caller, CallerLimits, Scope
from api_service.exceptions import NotAuthenticatedError


class Role(StrEnum):
    """Name what a user is."""

    USER = "user"
    ADMIN = "admin"


_SCOPES_BY_ROLE: Mapping[str, frozenset[Scope]] = {
    Role.USER: frozenset({Scope.READ, Scope.WRITE}),
    Role.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A row of `users` that is not deleted.

    Attributes:
        limits: members of `CallerLimits` that differ from the defaults.
    """

    id: UUID
    email: str
    role: Role
    is_active: bool
    limits: Mapping[str, int]
    created_at: datetime
    password_version: int
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A row of `api_keys`, without its digest."""

    id: UUID
    name: str
    prefix: str
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something to accounts, and from where.

    Attributes:
        address: of the client.
    """

    caller: Caller
    address: str

    @property
    def user_id(self) -> UUID:
        """Return the caller's account.

        Raises:
            NotAuthenticatedError: the caller has none.
        """
        if self.caller.owner_id is None:
            raise NotAuthenticatedError
        return self.caller.owner_id


def scopes_of_role(role: str) -> frozenset[Scope]:
    """Return what a user of a role may do; nothing, if a later version made the role."""
    return _SCOPES_BY_ROLE.get(role, frozenset())


def read_limits(limits: str) -> dict[str, int]:
    """Read a user's own limits from JSON; leave out what we would not have written."""
    try:
        stored: Any = json.loads(limits)
    except (ValueError, RecursionError):  # a number of many digits, or deep nesting
        return {}
    if not isinstance(stored, dict):
        return {}
    known = {member.name for member in fields(CallerLimits)}
    return {
        name: value
        for name, value in stored.items()
        if name in known and type(value) is int and value >= 0
    }


def resolve_limits(own: Mapping[str, int], defaults: CallerLimits) -> CallerLimits:
    """Return the limits that hold for a user: their own, else the defaults."""
    return CallerLimits(
        requests_per_minute=own.get("requests_per_minute", defaults.requests_per_minute),
        unfinished_requests=own.get("unfinished_requests", defaults.unfinished_requests),
        stored_bytes=own.get("stored_bytes", defaults.stored_bytes),
    )
