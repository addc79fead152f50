"""Whether another request may be accepted: there is an end to how much may wait.

The requests that have not ended are counted in the database, but not for each new one: in
between, those that were accepted since the last count are added to it. A count does not see
what is being stored while it is made, so that is added, too. One process never accepts more
than there is room for; several that share a database may exceed it by what the others accept
between two counts.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from time import monotonic

import structlog

from api_service.database import Database
from api_service.exceptions import DatabaseUnavailableError, QueueFullError
from api_service.repository import ParseRequestRepository

RECOUNT_SECONDS = 1.0
RARE_RECOUNT_SECONDS = 5.0

log = structlog.get_logger()


class Admission:
    """Keeps an eye on how many requests have not ended.

    Args:
        max_depth: from so many on, no more are accepted.
    """

    def __init__(self, database: Database, *, max_depth: int) -> None:
        self._database = database
        self._max_depth = max_depth
        self._counted = 0
        self._accepted_since = 0
        self._under_way = 0
        self._next_count = 0.0
        self._counting: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def room(self) -> Iterator[None]:
        """The room for one more, while it is being stored. Needs `count` to have been awaited once.

        Raises:
            QueueFullError: there is none.
        """
        if self._counting is None and monotonic() >= self._next_count:
            self._counting = asyncio.create_task(self.count())
        if self._known >= self._max_depth:
            raise QueueFullError
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._accepted_since += 1  # also where it failed: it may be stored all the same

    async def count(self) -> None:
        """Count what has not ended. Where that fails the last count stands."""
        accepted_before = self._accepted_since
        try:
            async with self._database.reading() as session:
                repository = ParseRequestRepository(session)
                self._counted = await repository.count_unfinished(most=self._max_depth)
            self._accepted_since -= accepted_before
        except DatabaseUnavailableError:
            log.warning("requests not counted")
        finally:
            is_far = self._known < self._max_depth / 2
            self._next_count = monotonic() + (RARE_RECOUNT_SECONDS if is_far else RECOUNT_SECONDS)
            self._counting = None

    @property
    def _known(self) -> int:
        return self._counted + self._accepted_since + self._under_way
