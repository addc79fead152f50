"""The tables of users, their sessions and their keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    Uuid,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from api_service.schema import Base


def _new_id() -> Mapped[UUID]:
    return mapped_column(Uuid, primary_key=True, server_default=text("gen_random_uuid()"))


def _now() -> Mapped[datetime]:
    return mapped_column(DateTime(timezone=True), server_default=func.now())


class User(Base):
    """A person or program with an account.

    The row stays when the account is deleted, without address and password: its id is the owner of
    what is deleted meanwhile.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('user', 'admin')", name="ck_users_role"),
        Index("ix_users_email", "email", unique=True),
        Index("ix_users_listed", "created_at", "id", postgresql_where="deleted_at IS NULL"),
        Index(
            "ix_users_admins",
            "id",
            postgresql_where="role = 'admin' AND is_active AND deleted_at IS NULL",
        ),
    )

    id: Mapped[UUID] = _new_id()
    email: Mapped[str | None] = mapped_column(Text)
    """Normalised by `email.py`; null once the account is deleted."""
    password_hash: Mapped[str | None] = mapped_column(Text)
    password_version: Mapped[int] = mapped_column(Integer, server_default="1")
    """Counts changes of the password; a hash that is only renewed keeps it."""
    role: Mapped[str] = mapped_column(Text, server_default="user")
    is_active: Mapped[bool] = mapped_column(server_default=true())
    limits: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    """Members of `CallerLimits` that differ from the settings."""
    created_at: Mapped[datetime] = _now()
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class UserSession(Base):
    """A login: its token is valid until it expires or somebody ends it."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_token_digest", "token_digest", unique=True),
        Index("ix_sessions_user_id", "user_id", "created_at"),
    )

    id: Mapped[UUID] = _new_id()
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    token_digest: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = _now()
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ApiKey(Base):
    """A token for programs, with a name and scopes of its own."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("ix_api_keys_token_digest", "token_digest", unique=True),
        Index("ix_api_keys_listed", "user_id", "created_at", "id"),
    )

    id: Mapped[UUID] = _new_id()
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    """How the token begins, so that its owner can tell it from others."""
    token_digest: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = _now()
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Written at most once a minute."""
