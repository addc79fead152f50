"""All SQL on users, sessions and keys; nothing here commits."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.accounts import statements
from api_service.accounts.users import Role, StoredKey, StoredUser, read_limits
from api_service.edge.lists import Position

CHANGE_CHANNEL = "accounts_changed"
"""The channel of PostgreSQL notifications; the payload is the id of a user."""

Statement = Any


@dataclass(frozen=True, slots=True)
class FoundCaller:
    """A valid token, and the user to whom it belongs.

    Attributes:
        kind: `session` or `key`.
        scopes: of a key; None for a session, which has its user's.
        seconds_left: until the token expires; None if it never does.
        unused_for: seconds since a use of the key was written; None if none was.
    """

    digest: bytes
    id: UUID
    kind: str
    user_id: UUID
    role: str
    scopes: Sequence[str] | None
    limits: Mapping[str, int]
    seconds_left: float | None
    unused_for: float | None


class UserRepository:
    """Read and change users within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, email: str, *, password_hash: str, role: Role) -> StoredUser | None:
        """Store a user; return None if the address has an account."""
        parameters = {"email": email, "password_hash": password_hash, "role": role}
        return await self._user(statements.ADD_USER, **parameters)

    async def find_by_email(self, email: str) -> StoredUser | None:
        """Find the user with an address, which is normalised."""
        return await self._user(statements.FIND_USER_BY_EMAIL, email=email)

    async def find(self, user_id: UUID) -> StoredUser | None:
        """Find a user who is not deleted."""
        return await self._user(statements.FIND_USER, id=user_id)

    async def lock(self, user_id: UUID) -> StoredUser | None:
        """Find a user, and let nobody else change them before this transaction ends."""
        return await self._user(statements.LOCK_USER, id=user_id)

    async def lock_active_admins(self) -> set[UUID]:
        """Return who administers, and let nobody else change them before this transaction ends."""
        return set((await self._session.execute(statements.LOCK_ACTIVE_ADMINS)).scalars())

    async def list(self, *, limit: int, after: Position | None) -> list[StoredUser]:
        """Return users, newest first."""
        rows = await _list(
            self._session, statements.LIST_USERS, statements.LIST_USERS_AFTER, limit, after
        )
        return [_user_from_row(row) for row in rows]

    async def update(
        self, user_id: UUID, *, role: Role, is_active: bool, limits: Mapping[str, int]
    ) -> StoredUser | None:
        """Write what an administrator may change."""
        return await self._user(
            statements.UPDATE_USER,
            id=user_id,
            role=role,
            is_active=is_active,
            limits=json.dumps(dict(limits)),
        )

    async def set_password(self, user_id: UUID, *, password_hash: str, version: int) -> bool:
        """Replace the password; return False if it was replaced since this version."""
        parameters = {"id": user_id, "password_hash": password_hash, "version": version}
        result = await self._session.execute(statements.SET_PASSWORD, parameters)
        return result.one_or_none() is not None

    async def renew_hash(self, user_id: UUID, *, password_hash: str, version: int) -> None:
        """Replace the hash of the same password."""
        parameters = {"id": user_id, "password_hash": password_hash, "version": version}
        await self._session.execute(statements.RENEW_HASH, parameters)

    async def mark_deleted(self, user_id: UUID) -> None:
        """Forget the address and the password; the address is free again."""
        await self._session.execute(statements.MARK_USER_DELETED, {"id": user_id})

    async def find_deleted_at(self, user_id: UUID) -> datetime | None:
        """Return when an account was deleted; None if it is there, or never was."""
        found: datetime | None = (
            await self._session.execute(statements.FIND_DELETED_AT, {"id": user_id})
        ).scalar_one_or_none()
        return found

    async def notify_changed(self, user_id: UUID) -> None:
        """Have every process look up the user's tokens anew when this transaction commits."""
        parameters = {"channel": CHANGE_CHANNEL, "user_id": str(user_id)}
        await self._session.execute(statements.NOTIFY_CHANGE, parameters)

    async def _user(self, statement: Statement, **parameters: Any) -> StoredUser | None:
        row = (await self._session.execute(statement, parameters)).one_or_none()
        return None if row is None else _user_from_row(row)


class CredentialRepository:
    """Read and change sessions and keys within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_user_for_login(self, user_id: UUID, *, version: int) -> bool:
        """Lock an active user whose password is still the one that was checked."""
        parameters = {"id": user_id, "version": version}
        result = await self._session.execute(statements.LOCK_USER_FOR_LOGIN, parameters)
        return result.one_or_none() is not None

    async def add_session(
        self, user_id: UUID, *, digest: bytes, lifetime: timedelta, kept: int
    ) -> tuple[UUID, datetime]:
        """Store a session; delete the user's expired ones, and all but the newest.

        Returns:
            Its id, and when it expires.
        """
        parameters = {"user_id": user_id, "token_digest": digest, "lifetime": lifetime}
        row = (await self._session.execute(statements.ADD_SESSION, parameters)).one()
        surplus = {"user_id": user_id, "kept": kept}
        await self._session.execute(statements.DELETE_SURPLUS_SESSIONS, surplus)
        return row.id, row.expires_at

    async def delete_session(self, session_id: UUID) -> UUID | None:
        """Delete a session; return whose it was."""
        return await self._scalar(statements.DELETE_SESSION, id=session_id)

    async def delete_session_by_digest(self, digest: bytes) -> UUID | None:
        """Delete the session of a token; return whose it was."""
        return await self._scalar(statements.DELETE_SESSION_BY_DIGEST, token_digest=digest)

    async def delete_sessions(self, user_id: UUID, *, but: UUID | None = None) -> None:
        """Delete a user's sessions, all or all but one."""
        parameters = {"user_id": user_id, "but": but}
        await self._session.execute(statements.DELETE_SESSIONS, parameters)

    async def add_key(
        self,
        user_id: UUID,
        *,
        name: str,
        prefix: str,
        digest: bytes,
        scopes: Sequence[str],
        expires_at: datetime | None,
        most: int,
    ) -> StoredKey | None:
        """Store a key; return None if the user has `most` keys."""
        parameters = {
            "user_id": user_id,
            "name": name,
            "prefix": prefix,
            "token_digest": digest,
            "scopes": list(scopes),
            "expires_at": expires_at,
            "most": most,
        }
        row = (await self._session.execute(statements.ADD_KEY, parameters)).one_or_none()
        return None if row is None else _key_from_row(row)

    async def list_keys(
        self, user_id: UUID, *, limit: int, after: Position | None
    ) -> list[StoredKey]:
        """Return a user's keys, newest first."""
        first, later = statements.LIST_KEYS, statements.LIST_KEYS_AFTER
        rows = await _list(self._session, first, later, limit, after, user_id=user_id)
        return [_key_from_row(row) for row in rows]

    async def delete_key(self, key_id: UUID, *, user_id: UUID) -> bool:
        """Delete a key of a user; return False if they have none with this id."""
        return await self._scalar(statements.DELETE_KEY, id=key_id, user_id=user_id) is not None

    async def delete_keys(self, user_id: UUID) -> None:
        """Delete a user's keys."""
        await self._session.execute(statements.DELETE_KEYS, {"user_id": user_id})

    async def touch_keys(self, key_ids: Sequence[UUID], *, pause: timedelta) -> None:
        """Write that keys were used just now, if that was not written within the pause."""
        parameters = {"ids": list(key_ids), "pause": pause}
        await self._session.execute(statements.TOUCH_KEYS, parameters)

    async def find_callers(self, digests: Sequence[bytes]) -> list[FoundCaller]:
        """Return what belongs to each of these tokens, if it is valid now."""
        result = await self._session.execute(statements.FIND_CALLERS, {"digests": list(digests)})
        return [
            FoundCaller(**dict(row._mapping) | {"limits": read_limits(row.limits)})  # noqa: SLF001 - SQLAlchemy's name
            for row in result
        ]

    async def _scalar(self, statement: Statement, **parameters: Any) -> UUID | None:
        found: UUID | None = (
            await self._session.execute(statement, parameters)
        ).scalar_one_or_none()
        return found


async def _list(
    session: AsyncSession,
    first: Statement,
    later: Statement,
    limit: int,
    after: Position | None,
    **parameters: Any,
) -> Sequence[Row[Any]]:
    parameters |= {"limit": limit}
    if after is None:
        return (await session.execute(first, parameters)).all()
    parameters |= {"created_at": after.created_at, "id": after.id}
    return (await session.execute(later, parameters)).all()


def _user_from_row(row: Row[Any]) -> StoredUser:
    return StoredUser(
        id=row.id,
        email=row.email,
        role=Role(row.role),
        is_active=row.is_active,
        limits=read_limits(row.limits),
        created_at=row.created_at,
        password_version=row.password_version,
        password_hash=row.password_hash,
    )


def _key_from_row(row: Row[Any]) -> StoredKey:
    return StoredKey(**row._mapping)  # noqa: SLF001 - SQLAlchemy's name
