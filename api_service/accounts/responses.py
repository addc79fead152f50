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

Created = Annotated[datetime, Field(description="When it was created.")]
Scopes = Annotated[list[Scope], Field(description="What the token may do.")]
NextCursor = Annotated[
    str | None, Field(description="Send it as `cursor` for the next page; null on the last.")
]


class _FromRow(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class UserAnswer(_FromRow):
    """An account, as its user sees it."""

    id: Annotated[UUID, Field(description="The id of the user.")]
    email: Annotated[str, Field(description="The address with which they log in.")]
    role: Annotated[Role, Field(description="An `admin` also looks after other users.")]
    created_at: Created


class LoginAnswer(BaseModel):
    """A new session."""

    token: Annotated[str, Field(description="Send it as `Authorization: Bearer ...`.")]
    token_type: Annotated[Literal["bearer"], Field(description="How the token is sent.")] = "bearer"  # noqa: S105 - the name of a kind
    expires_at: Annotated[datetime, Field(description="When the session ends.")]
    user: Annotated[UserAnswer, Field(description="Who logged in.")]

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

    requests_per_minute: Annotated[int | None, Field(description="HTTP requests in a minute.")]
    unfinished_requests: Annotated[
        int | None, Field(description="Parse requests that have not ended.")
    ]
    stored_bytes: Annotated[int | None, Field(description="Bytes of stored pages.")]


class Usage(_FromRow):
    """What a caller uses of the limits now; null of a caller without an account."""

    requests_per_minute: Annotated[
        int | None, Field(description="HTTP requests in this minute, this one included.")
    ]
    unfinished_requests: Annotated[
        int | None, Field(description="Parse requests that have not ended.")
    ]
    stored_bytes: Annotated[
        int | None, Field(description="Bytes of stored pages, as of some seconds ago.")
    ]


class CallerAnswer(BaseModel):
    """Who calls, and what they may do."""

    id: Annotated[UUID | None, Field(description="Null for a caller without an account.")]
    email: Annotated[str | None, Field(description="Null likewise.")]
    role: Annotated[Role | None, Field(description="Null likewise.")]
    scopes: Scopes
    limits: Annotated[Limits, Field(description="What they may use.")]
    usage: Annotated[Usage, Field(description="What they use now.")]

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

    id: Annotated[UUID, Field(description="The id of the key.")]
    name: Annotated[str, Field(description="What the key is for.")]
    prefix: Annotated[str, Field(description="How the key begins.")]
    scopes: Scopes
    created_at: Created
    expires_at: Annotated[datetime | None, Field(description="When it ends; null for never.")]
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

    items: Annotated[list[KeyAnswer], Field(description="Newest first.")]
    next_cursor: NextCursor


class ListedUser(UserAnswer):
    """An account, as administrators see it."""

    is_active: Annotated[bool, Field(description="False for a user who is shut out.")]
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

    items: Annotated[list[ListedUser], Field(description="Newest first.")]
    next_cursor: NextCursor


class DeletionAnswer(BaseModel):
    """How far the deletion of an account is."""

    id: Annotated[str, Field(description="The id of the deletion.")]
    status: Annotated[
        Literal["deleting", "deleted"],
        Field(description="`deleting` until the last of what was theirs is gone."),
    ]
    requested_at: Annotated[datetime, Field(description="When it was asked for.")]
    done_at: Annotated[datetime | None, Field(description="When nothing was left; null before.")]

    @classmethod
    def of(cls, deletion: Deletion) -> Self:
        """Describe a deletion."""
        return cls(
            id=deletion.id,
            status="deleting" if deletion.done_at is None else "deleted",
            requested_at=deletion.requested_at,
            done_at=deletion.done_at,
        )
