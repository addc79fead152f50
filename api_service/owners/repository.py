"""All SQL on what an owner has; nothing here commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api_service.owners import statements


@dataclass(frozen=True, slots=True)
class OwnerCount:
    """Ask for an owner's unfinished requests.

    Attributes:
        first: leave out lower ids.
        limit: count no more than so many.
    """

    owner_id: UUID
    first: int
    limit: int


@dataclass(frozen=True, slots=True)
class Deletion:
    """How far the deletion of an owner is.

    Attributes:
        id: names it to whoever asked for it.
        done_at: when nothing was left; None before.
    """

    id: str
    requested_at: datetime
    done_at: datetime | None


class OwnerRepository:
    """Count and delete what an owner has within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def count_unfinished(self, asked: Sequence[OwnerCount]) -> dict[UUID, tuple[int, int]]:
        """Count the unfinished requests of each owner.

        Returns:
            For each owner the number, and an id below which none is unfinished.
        """
        parameters = {
            "owner_ids": [one.owner_id for one in asked],
            "firsts": [one.first for one in asked],
            "limits": [one.limit for one in asked],
        }
        result = await self._session.execute(statements.COUNT_UNFINISHED, parameters)
        return {row.owner_id: (row.requests, row.first) for row in result}

    async def lock_unfinished(self, owner_id: UUID, *, first: int, limit: int) -> list[int]:
        """Lock and return up to `limit` unfinished requests; leave out those that are locked."""
        parameters = {"owner_id": owner_id, "first": first, "limit": limit}
        result = await self._session.execute(statements.LOCK_UNFINISHED, parameters)
        return list(result.scalars())

    async def delete_ended(
        self, owner_id: UUID, *, first: int, limit: int
    ) -> list[tuple[int, int]]:
        """Delete up to `limit` ended requests; return the id of each, and its stored bytes."""
        parameters = {"owner_id": owner_id, "first": first, "limit": limit}
        result = await self._session.execute(statements.DELETE_ENDED, parameters)
        return [(row.id, row.stored_bytes) for row in result]

    async def has_requests(self, owner_id: UUID) -> bool:
        """Return whether the owner has any request, also one that is locked."""
        result = await self._session.execute(statements.HAS_REQUESTS, {"owner_id": owner_id})
        return bool(result.scalar_one())

    async def add_owner_to_delete(self, deletion_id: str, owner_id: UUID) -> Deletion:
        """Ask for the deletion of an owner; one that was asked for before keeps its id."""
        parameters = {"id": deletion_id, "owner_id": owner_id}
        row = (await self._session.execute(statements.ADD_OWNER_TO_DELETE, parameters)).one()
        return Deletion(row.id, row.requested_at, row.done_at)

    async def find_deletion(self, deletion_id: str) -> Deletion | None:
        """Find a deletion by the id that it was given."""
        result = await self._session.execute(statements.FIND_DELETION, {"id": deletion_id})
        row = result.one_or_none()
        return None if row is None else Deletion(row.id, row.requested_at, row.done_at)

    async def find_owner_to_delete(self) -> UUID | None:
        """Find the owner whose next slice has been due for the longest time."""
        result = await self._session.execute(statements.FIND_OWNER_TO_DELETE)
        found: UUID | None = result.scalar_one_or_none()
        return found

    async def note_nothing_left(
        self, owner_id: UUID, *, settle_seconds: float, watch_seconds: float
    ) -> bool:
        """Note that an owner has nothing now; see `deletion.py` for the seconds.

        Returns:
            Whether this was the last look.
        """
        parameters = {
            "owner_id": owner_id,
            "settle_seconds": settle_seconds,
            "watch_seconds": watch_seconds,
        }
        result = await self._session.execute(statements.NOTE_NOTHING_LEFT, parameters)
        return bool(result.scalar_one_or_none())

    async def put_last(self, owner_id: UUID) -> None:
        """Let other owners' slices come before this one's next."""
        await self._session.execute(statements.DEFER_LOOK, {"owner_id": owner_id})

    async def forget_old_deletions(self, *, days: int, limit: int) -> None:
        """Delete up to `limit` answers to deletions that were done so many days ago."""
        parameters = {"days": days, "limit": limit}
        await self._session.execute(statements.FORGET_OLD_DELETIONS, parameters)
