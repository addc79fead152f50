"""Delete accounts: the user is out at once; what is theirs goes in slices, in the background."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from api_service.accounts.audit import audit
from api_service.accounts.exceptions import LastAdminError, NoSuchDeletionError, NoSuchUserError
from api_service.accounts.lookup import CallerDirectory
from api_service.accounts.repository import CredentialRepository, UserRepository
from api_service.accounts.users import Actor
from api_service.database import Database, Session


@dataclass(frozen=True, slots=True)
class Deletion:
    """How far a deletion is.

    Attributes:
        id: names it to whoever asked for it.
        done_at: when the last of what was theirs was deleted; None before.
    """

    id: str
    requested_at: datetime
    done_at: datetime | None


class FoundDeletion(Protocol):
    """How far a deletion is, as the room that deletes says it."""

    @property
    def id(self) -> str:
        """Name it."""
        ...

    @property
    def requested_at(self) -> datetime:
        """When it was asked for."""
        ...

    @property
    def done_at(self) -> datetime | None:
        """When nothing was left; None before."""
        ...


RequestDeletion = Callable[[Session, UUID], Awaitable[FoundDeletion]]
"""Have what is an owner's deleted, if the session's transaction commits."""
FindDeletion = Callable[[Session, str], Awaitable[FoundDeletion | None]]
"""Find a deletion by its id."""


async def delete_nothing(session: Session, owner_id: UUID) -> Deletion:
    """Stand in until something deletes: the deletion then never ends."""
    requested_at = await UserRepository(session).find_deleted_at(owner_id)
    if requested_at is None:
        raise NoSuchUserError
    return Deletion(str(owner_id), requested_at, None)


async def find_nothing_deleted(session: Session, deletion_id: str) -> Deletion | None:
    """Stand in likewise."""
    try:
        return await delete_nothing(session, UUID(deletion_id))
    except (ValueError, NoSuchUserError):
        return None


class AccountDeletions:
    """Delete accounts, and tell when all that was theirs is gone."""

    def __init__(
        self,
        *,
        database: Database,
        directory: CallerDirectory,
        request: RequestDeletion,
        find: FindDeletion,
    ) -> None:
        self._database = database
        self._directory = directory
        self._request = request
        self._find = find

    async def delete(self, actor: Actor, user_id: UUID) -> FoundDeletion:
        """Delete an account; its address is free again, and its tokens are dead.

        Raises:
            NoSuchUserError: there is none.
            LastAdminError: nobody would be left to administer.
        """
        async with self._database.transaction() as session:
            users, credentials = UserRepository(session), CredentialRepository(session)
            admins = await users.lock_active_admins()
            if await users.lock(user_id) is None:
                raise NoSuchUserError
            if admins == {user_id}:
                raise LastAdminError
            await credentials.delete_sessions(user_id)
            await credentials.delete_keys(user_id)
            await users.mark_deleted(user_id)
            deletion = await self._request(session, user_id)
            await users.notify_changed(user_id)
        self._directory.forget(user_id)
        audit("user.deleted", actor, target=user_id)
        return deletion

    async def read(self, deletion_id: str) -> FoundDeletion:
        """Return how far a deletion is.

        Raises:
            NoSuchDeletionError: none has this id.
        """
        async with self._database.transaction() as session:
            deletion = await self._find(session, deletion_id)
        if deletion is None:
            raise NoSuchDeletionError
        return deletion
