"""Delete accounts: the user is out at once; what is theirs goes in slices, in the background."""

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
    """A deletion that was asked for.

    Attributes:
        id: of the account, which is also that of the deletion.
        done_at: when the last of what was theirs was deleted; None before.
    """

    id: UUID
    requested_at: datetime
    done_at: datetime | None


class OwnedDataDeletion(Protocol):
    """Delete what an owner has, some time after the account."""

    async def request(self, session: Session, owner_id: UUID) -> None:
        """Have it deleted, if the session's transaction commits."""
        ...

    async def find_done_at(self, session: Session, owner_id: UUID) -> datetime | None:
        """Return when it was all deleted; None before."""
        ...


class NothingOwned:
    """Stand in until something deletes: an account then never says that it is done."""

    async def request(self, session: Session, owner_id: UUID) -> None:
        """Do nothing."""

    async def find_done_at(self, session: Session, owner_id: UUID) -> datetime | None:
        """Return that it is not done."""
        del session, owner_id
        return None


class AccountDeletions:
    """Delete accounts, and tell when all that was theirs is gone."""

    def __init__(
        self, *, database: Database, directory: CallerDirectory, owned: OwnedDataDeletion
    ) -> None:
        self._database = database
        self._directory = directory
        self._owned = owned

    async def delete(self, actor: Actor, user_id: UUID) -> Deletion:
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
            await self._owned.request(session, user_id)
            await users.notify_changed(user_id)
            deletion = await self._read_or_raise(session, user_id)
        self._directory.forget(user_id)
        audit("user.deleted", actor, target=user_id)
        return deletion

    async def read(self, deletion_id: UUID) -> Deletion:
        """Return how far a deletion is.

        Raises:
            NoSuchDeletionError: none has this id.
        """
        async with self._database.transaction() as session:
            return await self._read_or_raise(session, deletion_id)

    async def _read_or_raise(self, session: Session, user_id: UUID) -> Deletion:
        requested_at = await UserRepository(session).find_deleted_at(user_id)
        if requested_at is None:
            raise NoSuchDeletionError
        done_at = await self._owned.find_done_at(session, user_id)
        return Deletion(user_id, requested_at, done_at)
