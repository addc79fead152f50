"""Idempotency keys, within the transaction that accepts a request."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from api_service.database import Database, Session
from api_service.idempotency.exceptions import (
    IdempotencyConflictError,
    IdempotencyMismatchError,
)
from api_service.idempotency.repository import IdempotencyRepository, KnownKey

KEY_LIFETIME = timedelta(hours=24)
"""Keys are forgotten after this time."""
KEYS_PER_DELETE = 1000
MAX_DELETE_BATCHES = 50
"""Batches in one call: more keys than clients can make between two calls."""

SCOPE_PREFIXES = _OWNER, _HOST, CREDENTIALS = ("owner ", "host ", "credentials ")
"""What a scope begins with, by what names the client."""


@dataclass(frozen=True, slots=True)
class ScopedKey:
    """An idempotency key and the scope in which it is unique.

    Attributes:
        scope: names the client; keys of different scopes never meet.
    """

    scope: str
    key: str


def scope_of(client: str) -> str:
    """Return the scope of what names a client; only a digest is kept."""
    return hashlib.sha256(client.encode()).hexdigest()


def scope_of_owner(owner_id: UUID) -> str:
    """Return the scope of all keys that an owner uses, whatever the credentials."""
    return scope_of(f"{_OWNER}{owner_id}")


def scope_of_host(host: str) -> str:
    """Return the scope of a client of whom only the address is known."""
    return scope_of(f"{_HOST}{host}")


class KeyedAcceptance:
    """One request that came with a key, while it is being accepted.

    Args:
        url: a second request with the key must have the same.
        options: likewise.
    """

    def __init__(
        self, session: Session, key: ScopedKey, *, url: str, options: Mapping[str, bool | str]
    ) -> None:
        self._repository = IdempotencyRepository(session)
        self._key = key
        asked_for = json.dumps([url, sorted(options.items())])
        self._fingerprint = hashlib.sha256(asked_for.encode()).hexdigest()

    async def lock_key_and_find_accepted(self) -> int | None:
        """Lock the key until the transaction ends; return the request that was accepted under it.

        Returns:
            The id; None if this is the first request with the key.

        Raises:
            IdempotencyConflictError: the first request is being accepted right now.
            IdempotencyMismatchError: the key was used for another request.
        """
        if not await self._repository.try_lock(self._key.scope, self._key.key):
            raise IdempotencyConflictError
        known = await self._repository.find(self._key.scope, self._key.key, age=KEY_LIFETIME)
        if known is None:
            return None
        if known.fingerprint != self._fingerprint:
            raise IdempotencyMismatchError
        return known.request_id

    async def store_key(self, request_id: int) -> None:
        """Remember what was accepted under the key."""
        known = KnownKey(self._fingerprint, request_id)
        await self._repository.add_or_replace(self._key.scope, self._key.key, known)


async def forget_old_idempotency_keys(database: Database) -> None:
    """Delete keys that were kept long enough, in small batches and up to a limit."""
    for _ in range(MAX_DELETE_BATCHES):
        async with database.transaction() as session:
            repository = IdempotencyRepository(session)
            forgotten = await repository.delete_older_than(KEY_LIFETIME, limit=KEYS_PER_DELETE)
        if forgotten < KEYS_PER_DELETE:
            return


async def forget_keys_of_owner(
    session: Session, owner_id: UUID, *, after: str
) -> tuple[int, str | None]:
    """Delete some keys of an owner that sort after `after`; return how many, and the last."""
    return await IdempotencyRepository(session).delete_of_scope(
        scope_of_owner(owner_id), after=after, limit=KEYS_PER_DELETE
    )
