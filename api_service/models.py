"""The table of parse requests. The migrations under `alembic/` bring a database to this state."""

from datetime import datetime
from typing import Any
from uuid import UUID

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
    Uuid,
    false,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from api_service.schema import Base
from api_service.status_enum import StatusEnum


class ParseRequest(Base):
    """A URL that a client asked for, and its result.

    The row is the truth: everything in Redis about a request can be rebuilt from it.
    """

    __tablename__ = "parse_requests"
    __table_args__ = (
        # Read by the daily clean-up.
        Index("ix_parse_requests_created_at", "created_at"),
        # Read by every service, repeatedly: it does not grow with ended requests.
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
        # Each owned request is in one of these two; the anonymous ones are in neither.
        Index(
            "ix_parse_requests_owner_unfinished",
            *("owner_id", "id"),
            postgresql_where="owner_id IS NOT NULL AND status IN ('pending', 'processing')",
        ),
        Index(
            "ix_parse_requests_owner_ended",
            *("owner_id", "id"),
            postgresql_where="owner_id IS NOT NULL AND status IN ('success', 'failure')",
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[UUID | None] = mapped_column(Uuid)
    """Whose request it is; null for anonymous callers."""
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
    """Options that the client turned on."""
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Ended attempts, successful or not."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the next attempt is due; null unless the request waits for one."""
    alone: Mapped[bool] = mapped_column(Boolean, server_default=false())
    """True when a parser died on it and its last attempt must run alone."""
    suspect_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the sweep first found no trace of it in Redis; see `queueing/sweep.py`."""
    trace_id: Mapped[str | None] = mapped_column(Text)
    """Joins the log lines of the request across services and attempts."""
    token: Mapped[str | None] = mapped_column(Text)
    """Names the current attempt: only its result counts."""

    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """`PageFacts` in JSON, without its nulls."""
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """Why there is no page: `ErrorFacts` in JSON."""

    # Written by versions up to migration 0003, and read where `facts` is null.
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
