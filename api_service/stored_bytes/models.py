"""The tables of stored bytes."""

from uuid import UUID

from sqlalchemy import BigInteger, Identity, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from api_service.schema import Base


class StoredBytesChange(Base):
    """A difference of what an owner stores, which no sum has yet.

    Written in the transaction that stores or deletes, as a row of its own: two transactions of one
    owner do not wait for each other.
    """

    __tablename__ = "stored_bytes_changes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(Uuid)
    bytes: Mapped[int] = mapped_column(BigInteger)


class StoredBytes(Base):
    """The sum of an owner's differences so far."""

    __tablename__ = "stored_bytes"

    owner_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
