"""Fold differences of stored bytes into sums, in small batches."""

from collections.abc import Callable
from time import monotonic

from api_service.database import Database
from api_service.stored_bytes.repository import StoredBytesRepository

CHANGES_PER_FOLD = 5000
FULL_SEARCH_SECONDS = 60.0
"""Seconds between two folds that start at the bottom."""


class StoredBytesFold:
    """Folds what has been added since the last time.

    A fold starts where the one before began, as PostgreSQL keeps the index entries of what was
    folded while a backup holds a snapshot. A difference may be committed after others that it
    precedes: the next fold from the bottom takes it.

    Args:
        clock: running time in seconds.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._clock = clock
        self._first = 0
        self._next_full_search = 0.0

    async def run(self, *, seconds: float) -> int:
        """Fold; start no other batch after some seconds. Return how many differences."""
        until = self._clock() + seconds
        if self._clock() >= self._next_full_search:
            self._first = 0
            self._next_full_search = self._clock() + FULL_SEARCH_SECONDS
        folded = 0
        while True:
            async with self._database.transaction() as session:
                batch, first = await StoredBytesRepository(session).fold(
                    first=self._first, limit=CHANGES_PER_FOLD
                )
            folded += batch
            if first is not None:
                self._first = first
            if batch < CHANGES_PER_FOLD or self._clock() > until:
                return folded
