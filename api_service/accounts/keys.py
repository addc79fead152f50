"""Use cases of API keys: create, list, delete."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from api_service.accounts.audit import audit
from api_service.accounts.credentials import KEY, name_credential
from api_service.accounts.exceptions import NoSuchKeyError, TooManyKeysError
from api_service.accounts.lookup import CallerDirectory
from api_service.accounts.repository import CredentialRepository, UserRepository
from api_service.accounts.tokens import TokenKind, digest_of, make_token
from api_service.accounts.users import Actor, StoredKey
from api_service.caller import Scope
from api_service.database import Database
from api_service.edge.exceptions import InvalidRequestError
from api_service.edge.lists import Position
from api_service.exceptions import NotAllowedError, NotAuthenticatedError

MAX_KEYS = 1000
"""Keys of one user."""
SHOWN_CHARACTERS = 12
"""Characters of a key that are kept to tell it from others; the checksum is not among them."""
DEFAULT_SCOPES = frozenset({Scope.READ, Scope.WRITE})
"""Scopes of a key whose creator names none, as far as the creator has them."""


class KeyService:
    """Serve users who look after their keys."""

    def __init__(self, *, database: Database, directory: CallerDirectory) -> None:
        self._database = database
        self._directory = directory

    async def create(
        self,
        actor: Actor,
        *,
        name: str,
        scopes: frozenset[Scope] | None,
        expires_at: datetime | None,
    ) -> tuple[StoredKey, str]:
        """Create a key that may do no more than its creator may with the token they showed.

        Returns:
            The key, and its token, which nobody can read again.

        Raises:
            NotAllowedError: the creator lacks one of the scopes.
            InvalidRequestError: it would have expired already.
            TooManyKeysError: the user has as many as one may have.
        """
        chosen = _choose_scopes(actor, scopes)
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise InvalidRequestError("expires_at must be in the future.")
        user_id, token = actor.user_id, make_token(TokenKind.KEY)
        async with self._database.transaction() as session:
            if await UserRepository(session).lock(user_id) is None:
                raise NotAuthenticatedError  # deleted a moment ago
            key = await CredentialRepository(session).add_key(
                user_id,
                name=name,
                prefix=token[:SHOWN_CHARACTERS],
                digest=digest_of(token),
                scopes=sorted(chosen),
                expires_at=expires_at,
                most=MAX_KEYS,
            )
        if key is None:
            raise TooManyKeysError
        audit(
            "key.created",
            actor,
            target=user_id,
            key=name_credential(KEY, key.id),
            scopes=list(key.scopes),
        )
        return key, token

    async def list(
        self, actor: Actor, *, limit: int, after: Position | None
    ) -> Sequence[StoredKey]:
        """Return the caller's keys, newest first, also those that have expired."""
        async with self._database.read_session() as session:
            repository = CredentialRepository(session)
            return await repository.list_keys(actor.user_id, limit=limit, after=after)

    async def delete(self, actor: Actor, key_id: UUID) -> None:
        """Delete a key of the caller; it is dead at once, in every process.

        Raises:
            NoSuchKeyError: the caller has none with this id.
        """
        user_id = actor.user_id
        async with self._database.transaction() as session:
            if not await CredentialRepository(session).delete_key(key_id, user_id=user_id):
                raise NoSuchKeyError
            await UserRepository(session).notify_changed(user_id)
        self._directory.forget(user_id)
        audit("key.deleted", actor, target=user_id, key=name_credential(KEY, key_id))


def _choose_scopes(actor: Actor, scopes: frozenset[Scope] | None) -> frozenset[Scope]:
    """Return the scopes of a new key.

    Raises:
        NotAllowedError: its creator lacks one of them.
    """
    if scopes is None:
        return DEFAULT_SCOPES & actor.caller.scopes
    if missing := sorted(scopes - actor.caller.scopes):
        raise NotAllowedError(f"Your token lacks the scope {missing[0]}, so a key cannot have it.")
    return scopes
