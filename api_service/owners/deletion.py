"""Delete all that is an owner's, in slices.

1. Fail what has not ended. A job that a parser has goes on, and its result finds no row.
2. Delete what has ended, and the owner's idempotency keys; then what capabilities keep.
3. If nothing is left, note that. A request may be committed late: by a process that still knew the
   owner as a caller, or that was slow. So a deletion is done `SETTLE_SECONDS` after it was asked
   for at the earliest, and is looked at again for another hour.

All that is known of the progress is in the tables, so a killed worker costs one slice. Two workers
at once do no harm.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from uuid import UUID

from api_service.database import Database, Session
from api_service.endings.service import Endings
from api_service.idempotency.service import forget_keys_of_owner
from api_service.owners.repository import Deletion, OwnerRepository
from api_service.page.facts import ErrorFacts
from api_service.stored_bytes.repository import StoredBytesRepository

OwnerEraser = Callable[[Session, UUID], Awaitable[bool]]
"""Delete some of what a capability keeps of an owner; return whether anything was there."""

REQUESTS_PER_BATCH = 200
"""Requests ended, or deleted, in one transaction."""
SETTLE_SECONDS = 30.0
"""Longer than a caller is remembered by any process, and than any transaction takes."""
WATCH_SECONDS = 3600.0
ANSWER_DAYS = 30
"""Days for which it is known that a deletion was done."""
ANSWERS_PER_DELETE = 1000

ACCOUNT_DELETED = ErrorFacts(code="account_deleted", message="The account was deleted.")


async def request_deletion(session: Session, owner_id: UUID) -> Deletion:
    """Ask, in the session's transaction, that all of an owner's data be deleted.

    Asked again, it returns the same deletion.
    """
    deletion_id = f"del_{secrets.token_urlsafe(24)}"
    return await OwnerRepository(session).add_owner_to_delete(deletion_id, owner_id)


async def find_deletion(session: Session, deletion_id: str) -> Deletion | None:
    """Find out how far a deletion is; None for an id that was never given, or long ago."""
    return await OwnerRepository(session).find_deletion(deletion_id)


class OwnedData:
    """Deletes what owners have, whose deletion was asked for.

    Args:
        erasers: delete what capabilities keep.
        clock: running time in seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        endings: Endings,
        erasers: Sequence[OwnerEraser] = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._endings = endings
        self._erasers = erasers
        self._clock = clock
        self._owner_id: UUID | None = None
        self._forget_places()

    async def delete_some(self, *, seconds: float) -> bool:
        """Work for some seconds on the owner whose turn it is; return whether there was one."""
        async with self._database.transaction() as session:
            owner_id = await OwnerRepository(session).find_owner_to_delete()
        if owner_id is None:
            return False
        until = self._clock() + seconds
        while not (is_empty := await self.delete_slice(owner_id)) and self._clock() < until:
            pass
        if not is_empty:
            async with self._database.transaction() as session:
                await OwnerRepository(session).put_last(owner_id)
        return True

    async def delete_slice(self, owner_id: UUID) -> bool:
        """Delete a little of what an owner has; return whether nothing is left, which is noted."""
        if owner_id != self._owner_id:
            self._owner_id = owner_id
            self._forget_places()
        if await self._fail_unfinished(owner_id) or await self._delete_ended(owner_id):
            return False
        if await self._delete_keys(owner_id) or await self._erase(owner_id):
            return False
        if self._first_unfinished or self._first_ended or self._last_key:
            self._forget_places()  # the next slice finds what was skipped
            return False
        return await self._note_nothing_left(owner_id)

    def _forget_places(self) -> None:
        """Start at the bottom: what follows the last place may not be all."""
        self._first_unfinished = self._first_ended = 0
        self._last_key = ""

    async def _fail_unfinished(self, owner_id: UUID) -> int:
        found: list[int] = []

        async def lock(session: Session) -> Sequence[int]:
            found.extend(
                await OwnerRepository(session).lock_unfinished(
                    owner_id, first=self._first_unfinished, limit=REQUESTS_PER_BATCH
                )
            )
            return found

        await self._endings.fail_without_attempt(lock, ACCOUNT_DELETED)
        if found:
            self._first_unfinished = max(found) + 1
        return len(found)

    async def _delete_ended(self, owner_id: UUID) -> int:
        async with self._database.transaction() as session:
            gone = await OwnerRepository(session).delete_ended(
                owner_id, first=self._first_ended, limit=REQUESTS_PER_BATCH
            )
            await StoredBytesRepository(session).add_changes(
                (owner_id, -stored_bytes) for _, stored_bytes in gone
            )
        if gone:
            self._first_ended = max(request_id for request_id, _ in gone) + 1
        return len(gone)

    async def _delete_keys(self, owner_id: UUID) -> int:
        async with self._database.transaction() as session:
            deleted, last = await forget_keys_of_owner(session, owner_id, after=self._last_key)
        if last is not None:
            self._last_key = last
        return deleted

    async def _erase(self, owner_id: UUID) -> bool:
        found = False
        for erase in self._erasers:
            async with self._database.transaction() as session:
                found |= await erase(session, owner_id)
        return found

    async def _note_nothing_left(self, owner_id: UUID) -> bool:
        async with self._database.transaction() as session:
            repository = OwnerRepository(session)
            if await repository.has_requests(owner_id):  # one that another transaction has locked
                return False
            is_last_look = await repository.note_nothing_left(
                owner_id, settle_seconds=SETTLE_SECONDS, watch_seconds=WATCH_SECONDS
            )
            # Differences that are not folded yet must find their sum.
            await StoredBytesRepository(session).forget(owner_id, only_zero=not is_last_look)
            await repository.forget_old_deletions(days=ANSWER_DAYS, limit=ANSWERS_PER_DELETE)
        return True
