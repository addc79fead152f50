"""All SQL on stored bytes; nothing here commits."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api_service.stored_bytes import statements


class StoredBytesRepository:
    """Change and read the stored bytes of owners within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add_changes(self, changes: Iterable[tuple[UUID | None, int]]) -> None:
        """Add differences, one row for each owner; nobody counts what has no owner."""
        sums: defaultdict[UUID, int] = defaultdict(int)
        for owner_id, difference in changes:
            if owner_id is not None:
                sums[owner_id] += difference
        if found := {owner_id: total for owner_id, total in sums.items() if total}:
            parameters = {"owner_ids": list(found), "bytes": list(found.values())}
            await self._session.execute(statements.ADD_CHANGES, parameters)

    async def fold(self, *, first: int, limit: int) -> tuple[int, int | None]:
        """Add up to `limit` differences with ids from `first` on to their sums.

        Returns:
            How many, and the lowest id among them.
        """
        parameters = {"first": first, "limit": limit}
        row = (await self._session.execute(statements.FOLD, parameters)).one()
        return row.folded, row.first

    async def read(self, owner_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Read the sums; what was added since the last fold is not in them."""
        result = await self._session.execute(statements.READ, {"owner_ids": list(owner_ids)})
        return {row.owner_id: row.bytes for row in result}

    async def forget(self, owner_id: UUID, *, only_zero: bool) -> None:
        """Delete the sum of an owner of whom nothing is left; `only_zero` if it is 0."""
        parameters = {"owner_id": owner_id, "only_zero": only_zero}
        await self._session.execute(statements.FORGET, parameters)
