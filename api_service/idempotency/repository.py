"""All SQL on idempotency keys; nothing here commits."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.models import IdempotencyKey

# By their places in the table: a join would read all keys.
_DELETE_OLD = text("""
    DELETE FROM idempotency_keys
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM idempotency_keys
        WHERE created_at <= now() - CAST(:age AS interval) LIMIT :limit
    )) AND created_at <= now() - CAST(:age AS interval)
    RETURNING 1
""")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What a client asked for under an idempotency key, and what it got."""

    fingerprint: str
    request_id: int


class IdempotencyRepository:
    """Keys of clients that ask again, within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def try_lock(self, caller: str, key: str) -> bool:
        """Keep others out until the transaction ends; False if somebody else does so already."""
        number = func.hashtextextended(f"{len(caller)}:{caller}{key}", 0)
        locked = select(func.pg_try_advisory_xact_lock(number))
        return bool((await self._session.execute(locked)).scalar_one())

    async def find(self, caller: str, key: str, *, age: timedelta) -> KnownKey | None:
        """A key that was used in the time that keys are kept."""
        statement = select(IdempotencyKey.fingerprint, IdempotencyKey.request_id).where(
            IdempotencyKey.caller == caller,
            IdempotencyKey.key == key,
            IdempotencyKey.created_at > func.now() - literal(age),
        )
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else KnownKey(row.fingerprint, row.request_id)

    async def add(self, caller: str, key: str, known: KnownKey) -> None:
        """Keep a key; one that was kept long enough gives way."""
        values = {
            "fingerprint": known.fingerprint,
            "request_id": known.request_id,
            "created_at": func.now(),
        }
        statement = insert(IdempotencyKey).values(caller=caller, key=key, **values)
        await self._session.execute(
            statement.on_conflict_do_update(index_elements=["caller", "key"], set_=values)
        )

    async def delete_older_than(self, age: timedelta, *, limit: int) -> int:
        """Forget up to so many keys; returns how many."""
        result = await self._session.execute(_DELETE_OLD, {"age": age, "limit": limit})
        return len(result.all())
