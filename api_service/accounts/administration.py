"""Use cases of administrators, over HTTP and on the machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from api_service.accounts.audit import audit
from api_service.accounts.exceptions import LastAdminError, NoSuchUserError
from api_service.accounts.lookup import CallerDirectory
from api_service.accounts.password_rules import require_strong_password
from api_service.accounts.passwords import Passwords
from api_service.accounts.repository import CredentialRepository, UserRepository
from api_service.accounts.users import Actor, Role, StoredUser
from api_service.database import Database
from api_service.edge.lists import Position


@dataclass(frozen=True, slots=True)
class UserChange:
    """What an administrator changes; what is None stays.

    Attributes:
        limits: by name; None gives the user the default again.
    """

    is_active: bool | None = None
    role: Role | None = None
    limits: Mapping[str, int | None] | None = None


class Administration:
    """Serve administrators."""

    def __init__(self, *, database: Database, directory: CallerDirectory) -> None:
        self._database = database
        self._directory = directory

    async def list(self, *, limit: int, after: Position | None) -> Sequence[StoredUser]:
        """Return users, newest first."""
        async with self._database.read_session() as session:
            return await UserRepository(session).list(limit=limit, after=after)

    async def change(self, actor: Actor, user_id: UUID, change: UserChange) -> StoredUser:
        """Change a user; one who is made inactive is out at once, in every process.

        Raises:
            NoSuchUserError: there is none.
            LastAdminError: nobody would be left to administer.
        """
        async with self._database.transaction() as session:
            users = UserRepository(session)
            # Before the user, always: two changes at once wait in one order.
            admins = await users.lock_active_admins()
            before = await users.lock(user_id)
            if before is None:
                raise NoSuchUserError
            after = await users.update(
                user_id,
                role=change.role or before.role,
                is_active=before.is_active if change.is_active is None else change.is_active,
                limits=_merge_limits(before.limits, change.limits or {}),
            )
            if after is None:
                raise NoSuchUserError
            is_admin = after.role is Role.ADMIN and after.is_active
            if admins == {user_id} and not is_admin:
                raise LastAdminError
            if not after.is_active:
                await CredentialRepository(session).delete_sessions(user_id)
            await users.notify_changed(user_id)
        self._directory.forget(user_id)
        _audit_changes(actor, before, after)
        return after


async def create_admin(
    database: Database, passwords: Passwords, *, email: str, password: str
) -> bool:
    """Create an administrator, or make the account of this address one, with this password.

    Whoever runs this can write to the database anyway, so it also serves one who was locked out.
    Somebody else may have registered the address: what they could come in with is deleted, and
    limits are the defaults again.

    Returns:
        Whether the account is new.

    Raises:
        WeakPasswordError: the password is short, long or common.
    """
    require_strong_password(password)
    async with passwords.turn():
        password_hash = await passwords.hash(password)
    async with database.transaction() as session:
        users = UserRepository(session)
        user = await users.add(email, password_hash=password_hash, role=Role.ADMIN)
        is_new = user is not None
        if user is None:
            user = await _promote(users, CredentialRepository(session), email, password_hash)
    audit("admin.created" if is_new else "admin.promoted", None, target=user.id)
    return is_new


async def _promote(
    users: UserRepository, credentials: CredentialRepository, email: str, password_hash: str
) -> StoredUser:
    found = await users.find_by_email(email)
    user = await users.lock(found.id) if found else None
    if user is None:
        raise NoSuchUserError  # deleted in this moment
    await users.set_password(user.id, password_hash=password_hash, version=user.password_version)
    await users.update(user.id, role=Role.ADMIN, is_active=True, limits={})
    await credentials.delete_sessions(user.id)
    await credentials.delete_keys(user.id)
    await users.notify_changed(user.id)
    return user


def _merge_limits(before: Mapping[str, int], change: Mapping[str, int | None]) -> dict[str, int]:
    merged = {**before, **change}
    return {name: value for name, value in merged.items() if value is not None}


def _audit_changes(actor: Actor, before: StoredUser, after: StoredUser) -> None:
    """Log a line for each thing that changed."""
    if before.role != after.role:
        audit("user.role_changed", actor, target=after.id, role=str(after.role))
    if before.is_active != after.is_active:
        action = "user.activated" if after.is_active else "user.deactivated"
        audit(action, actor, target=after.id)
    if before.limits != after.limits:
        audit("user.limits_changed", actor, target=after.id, limits=dict(after.limits))
