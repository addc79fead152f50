"""Answers about accounts."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api_service.accounts.service import Login
from api_service.accounts.usage import CallerUsage
from api_service.accounts.users import Role, StoredKey, StoredUser
from api_service.caller import Caller, CallerLimits, Scope
from api_service.owners.repository import Deletion


class _FromRow(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class UserAnswer(_FromRow):
    """An account, as its user sees it."""

    id: UUID
    email: str
    role: Role
    created_at: datetime


class LoginAnswer(BaseModel):
    """A new session."""

    token: Annotated[str, Field(description="Send it as `Authorization: Bearer ...`.")]
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a kind
    expires_at: datetime
    user: UserAnswer

    @classmethod
    def of(cls, login: Login) -> Self:
        """Describe a login."""
        return cls(
            token=login.token,
            expires_at=login.expires_at,
            user=UserAnswer.model_validate(login.user),
        )


class Limits(_FromRow):
    """Limits of a caller; null is no limit of the caller's own."""

    requests_per_minute: int | None
    unfinished_requests: int | None
    stored_bytes: int | None


class Usage(_FromRow):
    """What a caller uses of the limits now; null of a caller without an account."""

    requests_per_minute: int | None
    unfinished_requests: int | None
    stored_bytes: int | None


class CallerAnswer(BaseModel):
    """Who calls, and what they may do."""

    id: Annotated[UUID | None, Field(description="Null for a caller without an account.")]
    email: str | None
    role: Role | None
    scopes: list[Scope]
    limits: Limits
    usage: Usage

    @classmethod
    def of(cls, caller: Caller, user: StoredUser | None, usage: CallerUsage) -> Self:
        """Describe a caller."""
        return cls(
            id=user.id if user else None,
            email=user.email if user else None,
            role=user.role if user else None,
            scopes=sorted(caller.scopes),
            limits=Limits.model_validate(caller.limits),
            usage=Usage.model_validate(usage),
        )


class KeyAnswer(_FromRow):
    """An API key, without the key itself."""

    id: UUID
    name: str
    prefix: Annotated[str, Field(description="How the key begins.")]
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="Written at most once a minute.")]


class NewKeyAnswer(KeyAnswer):
    """A new API key."""

    key: Annotated[str, Field(description="The key. It is not shown again.")]

    @classmethod
    def of(cls, stored: StoredKey, key: str) -> Self:
        """Describe a key that was created just now."""
        return cls(**KeyAnswer.model_validate(stored).model_dump(), key=key)


class KeysAnswer(BaseModel):
    """A page of a list of keys."""

    items: list[KeyAnswer]
    next_cursor: str | None


class ListedUser(UserAnswer):
    """An account, as administrators see it."""

    is_active: bool
    limits: Annotated[
        Limits,
        Field(description="The limits that hold for the user: their own, else the defaults."),
    ]

    @classmethod
    def of_user(cls, user: StoredUser, limits: CallerLimits) -> Self:
        """Describe a user."""
        return cls(
            id=user.id,
            email=user.email,
            role=user.role,
            created_at=user.created_at,
            is_active=user.is_active,
            limits=Limits.model_validate(limits),
        )


class UsersAnswer(BaseModel):
    """A page of a list of users."""

    items: list[ListedUser]
    next_cursor: str | None


class DeletionAnswer(BaseModel):
    """How far the deletion of an account is."""

    id: str
    status: Annotated[
        Literal["deleting", "deleted"],
        Field(description="`deleting` until the last of what was theirs is gone."),
    ]
    requested_at: datetime
    done_at: datetime | None

    @classmethod
    def of(cls, deletion: Deletion) -> Self:
        """Describe a deletion."""
        return cls(
            id=deletion.id,
            status="deleting" if deletion.done_at is None else "deleted",
            requested_at=deletion.requested_at,
            done_at=deletion.done_at,
        )
