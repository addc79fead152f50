"""Know how many requests are unfinished, at a cost that does not grow with them.

A count reads all unfinished rows, and the traces of those that have ended since a backup began. It
starts behind what had ended at an earlier count. If it is slow, the pause to the next one is a
hundred times as long, at most a minute. A look in between costs the same at any number: it adds the
ids that were given since, and subtracts the ends of which PostgreSQL has notified this process.

What a look does not see, the next count corrects: gaps in the ids, and ends that somebody writes
with SQL. Both make the number too high, not too low.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic

from api_service.database import Database
from api_service.endings.wakeups import EndingListener
from api_service.queueing.repository import QueueRepository, StateSummary, UnfinishedSummary
from api_service.queueing.search_start import SearchStart

SLOW_SECONDS = 0.01
"""A count that takes less is made at each look."""
COST_FACTOR = 100
"""The pause after a slow count is this many times as long."""
MAX_PAUSE_SECONDS = 60.0
SETTLE_SECONDS = 1.5
"""A notice that comes so soon after a count may be of an end that the count has seen."""
FULL_COUNT_SECONDS = 600.0
"""Seconds between two counts that start at the bottom."""


class UnfinishedCount:
    """Estimates how many requests are unfinished, for all that need it in one process.

    Args:
        ending_listener: knows how many requests have ended.
        limit: of unfinished requests; twice as many are counted, at most.
        clock: running time in seconds.
    """

    def __init__(
        self,
        database: Database,
        ending_listener: EndingListener,
        *,
        limit: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._ending_listener = ending_listener
        self._limit = limit
        self._clock = clock
        self._turn = asyncio.Lock()
        self._first = SearchStart[int]()
        self._counted = UnfinishedSummary()
        self._counted_at = 0.0
        self._connected = -1
        self._ended_before = 0
        self._next_count = 0.0
        self._next_full_count = 0.0

    async def look(self) -> int:
        """Return how many requests are unfinished: counted, if that is due, or estimated.

        Raises:
            DatabaseUnavailableError: the next look is as if this one had not been.
        """
        async with self._turn:
            missed_ends = self._ending_listener.connected != self._connected
            if missed_ends or self._clock() >= self._next_count:
                await self._count()
                return self._counted.requests
            return await self._estimate()

    @property
    def states(self) -> Mapping[str, StateSummary]:
        """Return the requests by state, as they were at the last count."""
        since = self._clock() - self._counted_at
        return {
            name: replace(state, oldest_age=state.oldest_age + since) if state.requests else state
            for name, state in self._counted.states.items()
        }

    async def _count(self) -> None:
        started = self._clock()
        if started >= self._next_full_count:
            self._first.reset()
            self._next_full_count = started + FULL_COUNT_SECONDS
        connected = self._ending_listener.connected
        try:
            async with self._database.read_session() as session:
                counted = await QueueRepository(session).summarise_unfinished(
                    limit=2 * self._limit, first=self._first.get()
                )
        finally:
            self._counted_at = self._clock()
            cost = self._counted_at - started
            pause = cost * COST_FACTOR if cost >= SLOW_SECONDS else 0.0
            self._next_count = self._counted_at + min(MAX_PAUSE_SECONDS, pause)
        self._counted = counted
        self._first.record_first(counted.first)
        self._connected = connected
        self._ended_before = self._ending_listener.ended

    async def _estimate(self) -> int:
        async with self._database.read_session() as session:
            newest = await QueueRepository(session).find_newest()
        if self._clock() < self._counted_at + SETTLE_SECONDS:
            self._ended_before = self._ending_listener.ended
        accepted = max(0, newest - self._counted.newest)
        ended = self._ending_listener.ended - self._ended_before
        return max(0, self._counted.requests + accepted - ended)
