"""What an idempotency key stands for, within the transaction that accepts a request."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from api_service.database import Session
from api_service.idempotency.exceptions import (
    IdempotencyConflictError,
    IdempotencyMismatchError,
)
from api_service.idempotency.repository import IdempotencyRepository, KnownKey

KEPT = timedelta(hours=24)
"""How long a key is remembered."""


@dataclass(frozen=True, slots=True)
class ScopedKey:
    """An idempotency key and whose it is."""

    caller: str
    key: str


class KeyedRequest:
    """One request that came with a key, while it is being accepted.

    Args:
        url: what is asked for, which a second request with the key must ask for, too.
        options: the same.
    """

    def __init__(
        self, session: Session, key: ScopedKey, *, url: str, options: Mapping[str, bool]
    ) -> None:
        self._repository = IdempotencyRepository(session)
        self._key = key
        asked_for = json.dumps([url, sorted(options.items())])
        self._fingerprint = hashlib.sha256(asked_for.encode()).hexdigest()

    async def accepted_before(self) -> int | None:
        """The id of the request that was accepted under the key before, if there is one.

        Raises:
            IdempotencyConflictError: it is being accepted right now.
            IdempotencyMismatchError: the key was used for something else.
        """
        if not await self._repository.try_lock(self._key.caller, self._key.key):
            raise IdempotencyConflictError
        known = await self._repository.find(self._key.caller, self._key.key, age=KEPT)
        if known is None:
            return None
        if known.fingerprint != self._fingerprint:
            raise IdempotencyMismatchError
        return known.request_id

    async def keep(self, request_id: int) -> None:
        """Remember what was accepted."""
        known = KnownKey(self._fingerprint, request_id)
        await self._repository.add(self._key.caller, self._key.key, known)


async def forget_old_keys(session: Session, *, limit: int) -> int:
    """Forget keys that have been kept long enough, up to so many; returns how many."""
    return await IdempotencyRepository(session).delete_older_than(KEPT, limit=limit)
