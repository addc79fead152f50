"""Delete accounts: the user is out at once; what is theirs goes in slices, in the background."""

from uuid import UUID

from api_service.accounts.audit import audit
from api_service.accounts.exceptions import LastAdminError, NoSuchDeletionError, NoSuchUserError
from api_service.accounts.lookup import CallerDirectory
from api_service.accounts.repository import CredentialRepository, UserRepository
from api_service.accounts.users import Actor
from api_service.database import Database
from api_service.owners.deletion import find_deletion, request_deletion
from api_service.owners.repository import Deletion


class AccountDeletions:
    """Delete accounts, and tell when all that was theirs is gone."""

    def __init__(
        self,
        *,
        database: Database,
        directory: CallerDirectory,
    ) -> None:
        self._database = database
        self._directory = directory

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
            deletion = await request_deletion(session, user_id)
            await users.notify_changed(user_id)
        self._directory.forget(user_id)
        audit("user.deleted", actor, target=user_id)
        return deletion

    async def read(self, deletion_id: str) -> Deletion:
        """Return how far a deletion is.

        Raises:
            NoSuchDeletionError: none has this id.
        """
        async with self._database.transaction() as session:
            deletion = await find_deletion(session, deletion_id)
        if deletion is None:
            raise NoSuchDeletionError
        return deletion
