"""Delete requests that were kept long enough, and end those that never ended. Beat starts it daily.

1. Fail with `expired` what has not ended within the retention: what was accepted has an end.
2. Delete what ended before the retention began.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

import structlog

from api_service.database import Database
from api_service.endings.service import Endings
from api_service.metrics import worker as metrics
from api_service.repository import ParseRequestRepository
from api_service.stored_bytes.repository import StoredBytesRepository

CLEANUP_BATCH_SIZE = 200
"""Requests deleted, or ended, in one transaction."""
PROGRESS_LIFETIME_SECONDS = 60.0
"""Seconds for which a call remembers where it stopped; then another worker may have gone on."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CleanupProgress:
    """The numbers of deleted and of expired requests, and whether none is left."""

    deleted: int
    is_done: bool
    expired: int = 0


class Retention:
    """Deletes requests that ended longer than `keep` ago, in small batches.

    Args:
        keep: how long requests are kept after their end, and how long one may take to end.
        clock: running time in seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        endings: Endings,
        keep: timedelta,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._endings = endings
        self._keep = keep
        self._clock = clock
        self._deleted_to: datetime | None = None
        self._resume_until = 0.0

    async def expire_and_delete_old(self, *, seconds: float = math.inf) -> CleanupProgress:
        """End and delete old requests; start no other batch after `seconds`.

        The next call goes on: it does not search again among what this one has ended and deleted.
        """
        until = self._clock() + seconds
        if self._clock() > self._resume_until:
            self._deleted_to = None
        expired, deleted, is_done = 0, 0, True
        if self._deleted_to is None:
            expired, is_done = await self._expire(until)
        if is_done:
            deleted, is_done = await self._delete(until)
        self._resume_until = self._clock() + PROGRESS_LIFETIME_SECONDS
        if expired:
            log.warning("requests expired", expired=expired)
        log.info("old requests deleted", deleted=deleted)
        return CleanupProgress(deleted, is_done, expired)

    async def _expire(self, until: float) -> tuple[int, bool]:
        """Return how many requests were ended, and whether none is left to end."""
        expired = 0
        while True:
            batch = await self._endings.expire(self._keep, limit=CLEANUP_BATCH_SIZE)
            expired += batch
            if batch < CLEANUP_BATCH_SIZE or self._clock() > until:
                return expired, batch < CLEANUP_BATCH_SIZE

    async def _delete(self, until: float) -> tuple[int, bool]:
        """Return how many requests were deleted, and whether none is left to delete."""
        deleted = 0
        while True:
            # No batch reads again what the one before has spared or deleted.
            async with self._database.transaction() as session:
                batch = await ParseRequestRepository(session).delete_ended(
                    self._keep, accepted_from=self._deleted_to, limit=CLEANUP_BATCH_SIZE
                )
                await StoredBytesRepository(session).add_changes(
                    (row.owner_id, -row.stored_bytes) for row in batch
                )
            deleted += len(batch)
            metrics.REQUESTS_DELETED.inc(len(batch))
            is_done = len(batch) < CLEANUP_BATCH_SIZE
            self._deleted_to = None if is_done else max(row.accepted_at for row in batch)
            if is_done or self._clock() > until:
                return deleted, is_done
