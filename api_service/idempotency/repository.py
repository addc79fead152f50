"""All SQL on idempotency keys; nothing here commits."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.idempotency.models import IdempotencyKey

# By their physical places: a join would read all keys.
_DELETE_OLD = text("""
    DELETE FROM idempotency_keys
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM idempotency_keys
        WHERE created_at <= now() - CAST(:age AS interval) LIMIT :limit
    )) AND created_at <= now() - CAST(:age AS interval)
    RETURNING 1
""")

# The pair is compared, so that a slice does not search again among what earlier ones deleted.
_DELETE_OF_SCOPE = text("""
    WITH gone AS (
        DELETE FROM idempotency_keys
        WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM idempotency_keys
            WHERE caller = :scope AND (caller, key) > (:scope, :after)
            ORDER BY caller, key LIMIT :limit
        )) AND caller = :scope
        RETURNING key
    )
    SELECT count(*) AS deleted, max(key) AS last FROM gone
""")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """The hash of a keyed request, and the id that it was given."""

    fingerprint: str
    request_id: int


class IdempotencyRepository:
    """Find and keep keys within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def try_lock(self, scope: str, key: str) -> bool:
        """Lock a key until the transaction ends; return False if another session holds it."""
        number = func.hashtextextended(f"{len(scope)}:{scope}{key}", 0)
        locked = select(func.pg_try_advisory_xact_lock(number))
        return bool((await self._session.execute(locked)).scalar_one())

    async def find(self, scope: str, key: str, *, age: timedelta) -> KnownKey | None:
        """Find a key used less than `age` ago."""
        statement = select(IdempotencyKey.fingerprint, IdempotencyKey.request_id).where(
            IdempotencyKey.caller == scope,
            IdempotencyKey.key == key,
            IdempotencyKey.created_at > func.now() - literal(age),
        )
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else KnownKey(row.fingerprint, row.request_id)

    async def add_or_replace(self, scope: str, key: str, known: KnownKey) -> None:
        """Keep a key; replace what stands under it."""
        values = {
            "fingerprint": known.fingerprint,
            "request_id": known.request_id,
            "created_at": func.now(),
        }
        statement = insert(IdempotencyKey).values(caller=scope, key=key, **values)
        await self._session.execute(
            statement.on_conflict_do_update(index_elements=["caller", "key"], set_=values)
        )

    async def delete_older_than(self, age: timedelta, *, limit: int) -> int:
        """Delete up to `limit` keys; return how many."""
        result = await self._session.execute(_DELETE_OLD, {"age": age, "limit": limit})
        return len(result.all())

    async def delete_of_scope(
        self, scope: str, *, after: str, limit: int
    ) -> tuple[int, str | None]:
        """Delete up to `limit` keys of a scope that sort after `after`.

        Returns:
            How many, and the last of them.
        """
        parameters = {"scope": scope, "after": after, "limit": limit}
        row = (await self._session.execute(_DELETE_OF_SCOPE, parameters)).one()
        return row.deleted, row.last
