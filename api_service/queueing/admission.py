"""Reject requests while too many are unfinished.

Admission counts the unfinished requests in the database once a second or less often, and adds
what was accepted since. A count reads all unfinished rows, so it is made less often if it is slow.
It does not see what is being stored while it runs, so that is added as well. One process never
accepts more than the limit; several that share a database may exceed it by what the others accept
between two counts.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from time import monotonic

import structlog

from api_service.database import Database
from api_service.exceptions import DatabaseUnavailableError, QueueFullError
from api_service.repository import ParseRequestRepository

RECOUNT_SECONDS_NEAR_LIMIT = 1.0
RECOUNT_SECONDS_FAR_FROM_LIMIT = 5.0
MAX_RECOUNT_SECONDS = 10.0
PAUSE_PER_COUNT_DURATION = 20
"""The pause between counts is this many times as long as a count, within the bounds above."""

log = structlog.get_logger()


class Admission:
    """Estimates how many requests are unfinished, and admits others up to a limit.

    Args:
        max_unfinished: unfinished requests from which on no more are accepted.
        clock: running time in seconds.
    """

    def __init__(
        self, database: Database, *, max_unfinished: int, clock: Callable[[], float] = monotonic
    ) -> None:
        self._database = database
        self._max_unfinished = max_unfinished
        self._clock = clock
        self._counted = 0
        self._accepted_since = 0
        self._being_stored = 0
        self._next_count = 0.0
        self._counting: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, database: Database, *, max_unfinished: int, clock: Callable[[], float] = monotonic
    ) -> "Admission":
        """Make one that has counted."""
        admission = cls(database, max_unfinished=max_unfinished, clock=clock)
        await admission.recount_unfinished()
        return admission

    @contextlib.contextmanager
    def reserve_place(self) -> Iterator[None]:
        """Reserve a place for one more request while it is being stored.

        Afterwards it counts as accepted, even if storing it failed.

        Raises:
            QueueFullError: the limit is reached.
        """
        if self._counting is None and self._clock() >= self._next_count:
            self._counting = asyncio.create_task(self.recount_unfinished())
        if self._estimated_unfinished >= self._max_unfinished:
            raise QueueFullError
        self._being_stored += 1
        try:
            yield
        finally:
            self._being_stored -= 1
            self._accepted_since += 1  # after a failure also: it may be stored all the same

    async def recount_unfinished(self) -> None:
        """Recount unfinished requests; on failure keep the last count."""
        accepted_before, started = self._accepted_since, self._clock()
        cost = 0.0
        try:
            async with self._database.read_session() as session:
                repository = ParseRequestRepository(session)
                self._counted = await repository.count_unfinished(limit=self._max_unfinished)
            self._accepted_since -= accepted_before
            cost = self._clock() - started
        except DatabaseUnavailableError:
            log.warning("requests not counted")
        finally:
            is_far = self._estimated_unfinished < self._max_unfinished / 2
            pause = RECOUNT_SECONDS_FAR_FROM_LIMIT if is_far else RECOUNT_SECONDS_NEAR_LIMIT
            slow = min(MAX_RECOUNT_SECONDS, cost * PAUSE_PER_COUNT_DURATION)
            self._next_count = self._clock() + max(pause, slow)
            self._counting = None

    @property
    def _estimated_unfinished(self) -> int:
        return self._counted + self._accepted_since + self._being_stored
