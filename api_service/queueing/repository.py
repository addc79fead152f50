"""All SQL on the way of requests to the parsers. One method for each move; nothing here commits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import DateTime, Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api_service.queueing import statements
from api_service.repository import JobToPush, job_from_row

LOWEST_ID = -(2**63)
"""Ids of ours begin at 1; whatever id a row has, it is found."""
UNFINISHED_STATES = ("pending", "processing", "retrying")


def _from(first: int | None) -> int:
    return LOWEST_ID if first is None else first


@dataclass(frozen=True, slots=True)
class StateSummary:
    """The unfinished requests of one state.

    Attributes:
        suspects: those among them of which the sweep found no trace in Redis.
        oldest_age: seconds since the oldest was accepted.
    """

    requests: int = 0
    suspects: int = 0
    oldest_age: float = 0.0


@dataclass(frozen=True, slots=True)
class UnfinishedSummary:
    """The unfinished requests of one moment.

    Attributes:
        states: `pending`, `processing` and `retrying`.
        newest: the highest id of all requests.
        first: an id below which none is unfinished.
    """

    states: Mapping[str, StateSummary] = field(default_factory=dict)
    newest: int = 0
    first: int = 0

    @property
    def requests(self) -> int:
        """Return how many there are."""
        return sum(state.requests for state in self.states.values())


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
        parameters = {"age": age, "limit": limit, "first": _from(first)}
        result = await self._session.execute(statements.CLAIM_STALE_PENDING, parameters)
        return [job_from_row(row) for row in result]

    async def find_pending_search_start(self, *, first: int | None = None) -> int:
        """Read the lowest id from `first` on that is pending, or could be the next to be."""
        result = await self._session.execute(
            statements.FIND_PENDING_SEARCH_START, {"first": _from(first)}
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
        self, seen: Sequence[int], *, before: datetime, first: int | None = None
    ) -> Sequence[Row[int, str]]:
        """Read `id, token` of pushed requests neither seen in Redis nor touched since `before`.

        Args:
            seen: ids.
            before: leave out what changed later.
            first: leave out lower ids.
        """
        await self._session.execute(statements.FORCE_CUSTOM_PLAN)
        await self._session.execute(statements.AVOID_WHOLE_TABLE)
        parameters = {"seen": list(seen), "before": before, "first": _from(first)}
        return (await self._session.execute(statements.FIND_MISSING_FROM_REDIS, parameters)).all()

    async def find_first_unfinished_or_newest(self, *, first: int | None = None) -> int:
        """Read the lowest id from `first` on that is unfinished, or could be the next to be."""
        result = await self._session.execute(
            statements.FIND_FIRST_UNFINISHED_OR_NEWEST, {"first": _from(first)}
        )
        return int(result.scalar_one())

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

    async def summarise_unfinished(
        self, *, limit: int, first: int | None = None
    ) -> UnfinishedSummary:
        """Summarise up to `limit` unfinished requests with ids from `first` on."""
        parameters = {"limit": limit, "first": _from(first)}
        rows = (await self._session.execute(statements.SUMMARISE_UNFINISHED, parameters)).all()
        states = dict.fromkeys(UNFINISHED_STATES, StateSummary())
        found = [row for row in rows if row.state is not None]
        for row in found:
            states[row.state] = StateSummary(row.requests, row.suspects, row.oldest_age)
        newest = rows[0].newest
        return UnfinishedSummary(states, newest, min((row.first for row in found), default=newest))

    async def find_newest(self) -> int:
        """Read the highest id of all requests."""
        return int((await self._session.execute(statements.NEWEST)).scalar_one())

    async def read_database_clock(self) -> datetime:
        """Read the database's clock, the only one that counts."""
        result = await self._session.execute(select(func.clock_timestamp(type_=DateTime)))
        return result.scalar_one()

    async def try_lock(self, key: int) -> bool:
        """Hold a lock until the transaction ends; return False if another session holds it."""
        locked = select(func.pg_try_advisory_xact_lock(key))
        return bool((await self._session.execute(locked)).scalar_one())
