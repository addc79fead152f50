"""All SQL on the way of requests to the parsers. One method for each move; nothing here commits."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import DateTime, Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.queueing import statements
from api_service.repository import JobToPush, job_from_row


class QueueRepository:
    """Claim requests for the parsers within the session's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def mark_processing(self, request_ids: Sequence[int]) -> list[JobToPush]:
        """Move from `pending` to `processing`; leave out those that have another status by now."""
        parameters = {"ids": list(request_ids)}
        result = await self._session.execute(statements.MARK_PROCESSING, parameters)
        return [job_from_row(row) for row in result]

    async def claim_stale_pending(
        self, *, age: float, limit: int, first: int | None = None
    ) -> list[JobToPush]:
        """Claim requests pending for `age` seconds: their message is lost or late.

        Args:
            age: seconds since they were accepted.
            limit: most requests to claim.
            first: leave out lower ids.
        """
        parameters = {"age": age, "limit": limit, "first": first or 0}
        result = await self._session.execute(statements.CLAIM_STALE_PENDING, parameters)
        return [job_from_row(row) for row in result]

    async def find_pending_search_start(self, *, first: int | None = None) -> int:
        """Read the lowest id from `first` on that is pending, or could be the next to be."""
        result = await self._session.execute(
            statements.FIND_PENDING_SEARCH_START, {"first": first or 0}
        )
        return int(result.scalar_one())

    async def claim_due_retries(
        self, *, limit: int, first: datetime | None = None
    ) -> list[JobToPush]:
        """Claim requests whose retry is due; their status stays `processing`.

        Args:
            limit: most requests to claim.
            first: leave out those that were due before.
        """
        parameters = {"limit": limit, "first": first}
        result = await self._session.execute(statements.CLAIM_DUE_RETRIES, parameters)
        return [job_from_row(row) for row in result]

    async def find_due_search_start(self, *, first: datetime | None = None) -> datetime:
        """Read a time from `first` on before which no request becomes due."""
        result = await self._session.execute(statements.FIND_DUE_SEARCH_START, {"first": first})
        found: datetime = result.scalar_one()
        return found

    async def claim_lost(self, *, age: float, limit: int) -> list[JobToPush]:
        """Claim requests missing for `age` seconds; their status stays `processing`."""
        result = await self._session.execute(statements.CLAIM_LOST, {"age": age, "limit": limit})
        return [job_from_row(row) for row in result]

    async def find_missing_from_redis(
        self, seen: Sequence[int], *, before: datetime
    ) -> Sequence[Row[int, str]]:
        """Read `id, token` of pushed requests neither seen in Redis nor touched since `before`."""
        await self._session.execute(statements.FORCE_CUSTOM_PLAN)
        await self._session.execute(statements.AVOID_WHOLE_TABLE)
        parameters = {"seen": list(seen), "before": before}
        return (await self._session.execute(statements.FIND_MISSING_FROM_REDIS, parameters)).all()

    async def clear_suspects_except(self, missing: Sequence[int]) -> None:
        """Clear the suspect mark of every request not in `missing`."""
        await self._session.execute(statements.FORCE_CUSTOM_PLAN)
        await self._session.execute(statements.CLEAR_SUSPECTS_EXCEPT, {"missing": list(missing)})

    async def add_suspects(self, missing: Sequence[int]) -> None:
        """Mark requests as missing from now on; one that is marked keeps its time."""
        await self._session.execute(statements.FORCE_CUSTOM_PLAN)
        await self._session.execute(statements.ADD_SUSPECTS, {"missing": list(missing)})

    async def find_next_ids_to_poll(self, *, after: int, limit: int) -> list[int]:
        """Read the next ids of requests that a parser may have, in their order."""
        parameters = {"after": after, "limit": limit}
        return list(
            (await self._session.execute(statements.FIND_NEXT_IDS_TO_POLL, parameters)).scalars()
        )

    async def read_database_clock(self) -> datetime:
        """Read the database's clock, the only one that counts."""
        result = await self._session.execute(select(func.clock_timestamp(type_=DateTime)))
        return result.scalar_one()

    async def try_lock(self, key: int) -> bool:
        """Hold a lock until the transaction ends; return False if another session holds it."""
        locked = select(func.pg_try_advisory_xact_lock(key))
        return bool((await self._session.execute(locked)).scalar_one())
