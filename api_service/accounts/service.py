"""Use cases of one's own account: register, log in and out, change the password."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api_service.accounts.attempt_counters import (
    AttemptCounter,
    login_counters,
    registration_counters,
)
from api_service.accounts.attempts import AttemptLimits
from api_service.accounts.audit import audit
from api_service.accounts.credentials import name_credential, session_id_of
from api_service.accounts.exceptions import BadCredentialsError, EmailTakenError
from api_service.accounts.lookup import CallerDirectory
from api_service.accounts.password_rules import require_strong_password
from api_service.accounts.passwords import Passwords
from api_service.accounts.repository import CredentialRepository, UserRepository
from api_service.accounts.tokens import TokenKind, digest_of, make_token, read_token
from api_service.accounts.users import Actor, Role, StoredUser
from api_service.database import Database
from api_service.exceptions import NotAllowedError, NotAuthenticatedError

SESSION_LIFETIME = timedelta(days=30)
"""From the login, however often the session is used."""
MAX_SESSIONS = 100
"""Sessions of one user; a login beyond ends the oldest."""


@dataclass(frozen=True, slots=True)
class Login:
    """A new session.

    Attributes:
        token: shown once; only its digest is stored.
    """

    user: StoredUser
    token: str = field(repr=False)
    expires_at: datetime


class AccountService:
    """Serve users who look after their own account."""

    def __init__(
        self,
        *,
        database: Database,
        passwords: Passwords,
        attempts: AttemptLimits,
        directory: CallerDirectory,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._attempts = attempts
        self._directory = directory

    async def register(self, actor: Actor, email: str, password: str) -> StoredUser:
        """Create an account.

        Raises:
            WeakPasswordError: the password is short, long or common.
            EmailTakenError: the address has an account.
            TooManyAttemptsError: the client has created too many.
            PasswordsBusyError: too many passwords are being hashed.
        """
        require_strong_password(password)
        counters = registration_counters(actor.address)
        await self._attempts.require_room(counters)
        async with self._passwords.turn():
            await self._attempts.take(counters)
            password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as session:
            user = await UserRepository(session).add(
                email, password_hash=password_hash, role=Role.USER
            )
        if user is None:
            raise EmailTakenError
        audit("user.registered", actor, target=user.id)
        return user

    async def log_in(self, actor: Actor, email: str, password: str) -> Login:
        """Begin a session.

        An address without an account takes the same steps, and as long.

        Raises:
            BadCredentialsError: the address or the password is wrong, or the user is inactive.
            TooManyAttemptsError: there were too many attempts.
            PasswordsBusyError: too many passwords are being checked.
        """
        counters = login_counters(email, actor.address)
        async with self._database.read_session() as session:
            user = await UserRepository(session).find_by_email(email)
        renewed_hash = await self._check(actor, user, password, counters)
        if user is None:
            raise BadCredentialsError
        return await self._begin_session(actor, user, renewed_hash)

    async def log_out(self, actor: Actor) -> None:
        """End the session that the caller showed, in every process.

        Raises:
            NotAllowedError: the caller showed a key.
        """
        session_id = session_id_of(actor.caller.credential_id)
        if session_id is None:
            raise NotAllowedError("A key is no session: delete it with DELETE /auth/keys/{id}.")
        async with self._database.transaction() as session:
            user_id = await CredentialRepository(session).delete_session(session_id)
            if user_id is not None:
                await UserRepository(session).notify_changed(user_id)
        if user_id is not None:
            self._directory.forget(user_id)
            audit("session.ended", actor, target=user_id)

    async def end_session(self, actor: Actor, token: str) -> None:
        """End the session of a token, if it is that of one."""
        read = read_token(token)
        if read is None or read.kind is not TokenKind.SESSION:
            return
        async with self._database.transaction() as session:
            user_id = await CredentialRepository(session).delete_session_by_digest(read.digest)
            if user_id is not None:
                await UserRepository(session).notify_changed(user_id)
        if user_id is not None:
            self._directory.forget(user_id)
            audit("session.ended", actor, target=user_id)

    async def change_password(self, actor: Actor, current: str, new: str) -> None:
        """Replace the caller's password, and end all sessions but the one that was shown.

        Raises:
            WeakPasswordError: the new password is short, long or common.
            BadCredentialsError: the current password is wrong.
            TooManyAttemptsError: there were too many attempts.
            PasswordsBusyError: too many passwords are being checked.
        """
        require_strong_password(new)
        user = await self.read_user(actor)
        await self._check(actor, user, current, login_counters(user.email, actor.address))
        async with self._passwords.turn():
            new_hash = await self._passwords.hash(new)
        async with self._database.transaction() as session:
            users = UserRepository(session)
            if not await users.set_password(
                user.id, password_hash=new_hash, version=user.password_version
            ):
                raise BadCredentialsError  # it was changed meanwhile
            shown = session_id_of(actor.caller.credential_id)
            await CredentialRepository(session).delete_sessions(user.id, but=shown)
            await users.notify_changed(user.id)
        self._directory.forget(user.id)
        audit("password.changed", actor, target=user.id)

    async def read_user(self, actor: Actor) -> StoredUser:
        """Return the caller's account.

        Raises:
            NotAuthenticatedError: it was deleted a moment ago, or the caller has none.
        """
        async with self._database.read_session() as session:
            user = await UserRepository(session).find(actor.user_id)
        if user is None:
            raise NotAuthenticatedError
        return user

    async def _check(
        self,
        actor: Actor,
        user: StoredUser | None,
        password: str,
        counters: tuple[AttemptCounter, ...],
    ) -> str | None:
        """Refuse a wrong password; the attempt is counted before the hash is computed.

        Returns:
            A new hash, if the stored one has outdated parameters.
        """
        await self._attempts.require_room(counters)  # no attempt waits for a turn in vain
        stored_hash = user.password_hash if user else None
        async with self._passwords.turn():
            taken = await self._attempts.take(counters)
            is_right = await self._passwords.matches(password, stored_hash)
            if user is None or not is_right or not user.is_active:
                audit("login.failed", actor, target=user.id if user else None)
                raise BadCredentialsError
            await self._attempts.give_back(taken)
            if stored_hash is not None and self._passwords.is_outdated(stored_hash):
                return await self._passwords.hash(password)
        return None

    async def _begin_session(
        self, actor: Actor, user: StoredUser, renewed_hash: str | None
    ) -> Login:
        token = make_token(TokenKind.SESSION)
        async with self._database.transaction() as session:
            credentials = CredentialRepository(session)
            version = user.password_version
            if not await credentials.lock_user_for_login(user.id, version=version):
                raise BadCredentialsError  # changed since the password was checked
            if renewed_hash is not None:
                await UserRepository(session).renew_hash(
                    user.id, password_hash=renewed_hash, version=version
                )
            session_id, expires_at = await credentials.add_session(
                user.id, digest=digest_of(token), lifetime=SESSION_LIFETIME, kept=MAX_SESSIONS
            )
        audit(
            "session.begun", actor, target=user.id, session=name_credential("session", session_id)
        )
        return Login(user, token, expires_at)
