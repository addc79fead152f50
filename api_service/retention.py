"""Delete requests that were kept long enough. Beat starts it once a day."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

import structlog

from api_service.database import Database
from api_service.metrics import worker as metrics
from api_service.repository import ParseRequestRepository

DELETE_BATCH = 200
"""Requests deleted in one transaction."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CleanupProgress:
    """The number of deleted requests, and whether none is left to delete."""

    deleted: int
    is_done: bool


class Retention:
    """Deletes requests older than `keep`, in small batches.

    Args:
        keep: how long requests are kept.
        clock: running time in seconds.
    """

    def __init__(
        self, *, database: Database, keep: timedelta, clock: Callable[[], float] = monotonic
    ) -> None:
        self._database = database
        self._keep = keep
        self._clock = clock

    async def clean_up(self, *, seconds: float = math.inf) -> CleanupProgress:
        """Delete old requests; start no other batch after `seconds`."""
        until = self._clock() + seconds
        deleted = 0
        while True:
            async with self._database.transaction() as session:
                repository = ParseRequestRepository(session)
                batch = await repository.delete_older_than(self._keep, limit=DELETE_BATCH)
            deleted += batch
            metrics.DELETED.inc(batch)
            is_done = batch < DELETE_BATCH
            if is_done or self._clock() > until:
                log.info("old requests deleted", deleted=deleted)
                return CleanupProgress(deleted, is_done)
