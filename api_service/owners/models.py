"""The table of owners who are being deleted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Index, Text, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from api_service.schema import Base


class OwnerToDelete(Base):
    """An owner all of whose data goes, in slices.

    Attributes:
        id: shown to whoever asked for it; opaque.
        done_at: when nothing was left.
        next_look_at: when the next slice is due; null when nothing can come any more.
    """

    __tablename__ = "owners_to_delete"
    __table_args__ = (
        Index(
            "ix_owners_to_delete_next_look_at",
            "next_look_at",
            postgresql_where="next_look_at IS NOT NULL",
        ),
        Index("ix_owners_to_delete_done_at", "done_at", postgresql_where="next_look_at IS NULL"),
        Index("ix_owners_to_delete_owner_id", "owner_id", unique=True),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(Uuid)
    requested_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    next_look_at: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
