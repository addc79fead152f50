"""Do the chores that owners make: delete those who asked for it, and fold stored bytes."""

import asyncio
from time import monotonic

import structlog
from redis.exceptions import RedisError

from api_service.exceptions import ApiError
from api_service.owners.deletion import OwnedData
from api_service.process.backoff import Backoff
from api_service.queueing.chores import PeriodicChores
from api_service.stored_bytes.service import StoredBytesFold

DELETION_PERIOD_SECONDS = 1.0
FOLD_PERIOD_SECONDS = 5.0
SLICE_SECONDS = 0.1
"""Seconds of work in each period: results are persisted meanwhile, and requests accepted."""
PAUSE_FACTOR = 9
"""The pause after some work is this many times as long."""

log = structlog.get_logger()


class OwnerChores:
    """Shares the chores among all workers: each is done by one of them at a time."""

    def __init__(
        self, *, owned_data: OwnedData, fold: StoredBytesFold, chores: PeriodicChores
    ) -> None:
        self._owned_data = owned_data
        self._fold = fold
        self._chores = chores

    async def run(self) -> None:
        """Do what is due, for ever; an outage or a fault only makes it late."""
        backoff = Backoff()
        while True:
            started = monotonic()
            try:
                await self.do_what_is_due()
                pause = max(DELETION_PERIOD_SECONDS, (monotonic() - started) * PAUSE_FACTOR)
                backoff.reset()
            except (RedisError, OSError, ApiError) as error:
                pause = max(DELETION_PERIOD_SECONDS, backoff.next_pause())
                log.warning("chores of owners not done yet", error=repr(error)[:200])
            except Exception:
                pause = max(DELETION_PERIOD_SECONDS, backoff.next_pause())
                log.exception("chores of owners not done yet")
            await asyncio.sleep(pause)

    async def do_what_is_due(self) -> None:
        """Do each chore that no worker has done lately."""
        if await self._chores.try_claim("owners", every=DELETION_PERIOD_SECONDS):
            await self._owned_data.delete_some(seconds=SLICE_SECONDS)
        if await self._chores.try_claim("stored-bytes", every=FOLD_PERIOD_SECONDS):
            await self._fold.run(seconds=SLICE_SECONDS)
