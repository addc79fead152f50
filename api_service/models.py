"""Every table. The migrations under `alembic/` bring a database to this state."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Enum,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    false,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from api_service.status_enum import StatusEnum

NEWEST_MIGRATION = "0003"
"""The revision that this code works with; a test holds it against `alembic/versions`."""


class Base(DeclarativeBase):
    """The root of all models."""


class ParseRequest(Base):
    """One URL that a client asked for, and what became of it.

    The row is the truth: whatever Redis holds of a request can be rebuilt from it.
    """

    __tablename__ = "parse_requests"
    __table_args__ = (
        # What the cleanup reads.
        Index("ix_parse_requests_created_at", "created_at"),
        # What the services look for again and again: it does not grow with ended requests.
        Index(
            "ix_parse_requests_unfinished",
            "id",
            postgresql_where="status IN ('pending', 'processing')",
        ),
        Index(
            "ix_parse_requests_next_attempt_at",
            "next_attempt_at",
            postgresql_where="next_attempt_at IS NOT NULL",
        ),
        Index(
            "ix_parse_requests_suspect_since",
            "suspect_since",
            postgresql_where="suspect_since IS NOT NULL",
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    status: Mapped[StatusEnum] = mapped_column(
        Enum(
            StatusEnum,
            name="parse_request_status",
            values_callable=lambda statuses: [status.value for status in statuses],
        ),
        server_default=StatusEnum.PENDING.value,
    )
    title: Mapped[str | None] = mapped_column(Text)
    html_content: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    options: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """What the client asked for besides the URL."""
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """How often it was tried and ended, well or not."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it is to be pushed again; only while it waits for that."""
    alone: Mapped[bool] = mapped_column(Boolean, server_default=false())
    """Whether a parser has died with it and its last attempt is left, which is to run alone."""
    suspect_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when nothing has been found that stands for it; see `sweep.py`."""
    trace_id: Mapped[str | None] = mapped_column(Text)
    """Ties the log lines of the request together, across services and attempts."""
    token: Mapped[str | None] = mapped_column(Text)
    """Names the attempt that is under way: only its result counts."""

    title_source: Mapped[str | None] = mapped_column(Text)
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB(none_as_null=True))
    final_url: Mapped[str | None] = mapped_column(Text)
    redirects: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    http_status: Mapped[int | None] = mapped_column(SmallInteger)
    content_type: Mapped[str | None] = mapped_column(Text)
    charset: Mapped[str | None] = mapped_column(Text)
    bytes: Mapped[int | None] = mapped_column(Integer)
    elapsed_ms: Mapped[int | None] = mapped_column(Integer)
    fetched_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """Why the page could not be had: `code`, `message`, and what else is known."""


class IdempotencyKey(Base):
    """A key that a client sent with a request, so that it can ask again and get one job.

    Attributes:
        caller: whose key it is; keys of different callers do not meet.
        fingerprint: of what was asked for with it.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    caller: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    request_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
