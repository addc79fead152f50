"""Give a job access to hosts: park it until its host has a slot for it, and its parser a place."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from redis.exceptions import RedisError

from parser_service import metrics
from parser_service.fetching.fetcher import NotFetchedYetError
from parser_service.fetching.host_access import HostAccessBase, PageProgress
from parser_service.jobs.parked import ParkedJob
from parser_service.jobs.shares import HostShares
from parser_service.redis_queue.host_limits import UNLIMITED, HostLimits, Slot

log = structlog.get_logger()


class ParkedError(NotFetchedYetError):
    """The job is parked in its host's list; when its turn comes, a parser takes it again."""


class JobAccess(HostAccessBase):
    """Hold the slots of a job from the list.

    Args:
        limits: None if hosts have neither limits nor lines.
        raw: the job's message, to be parked.
        token: names the job's lease, which ends when the job is parked.
        slot: the slot that the job got while it was parked.
        shares: counts the places that hosts occupy in this parser; None without such limits.
    """

    def __init__(
        self,
        limits: HostLimits | None,
        raw: bytes,
        *,
        token: str | None = None,
        slot: Slot | None = None,
        shares: HostShares | None = None,
    ) -> None:
        super().__init__(limits, slot=slot)
        self._raw = raw
        self._token = token
        self._shares = shares
        self._progress: PageProgress | None = None
        self._work: asyncio.Timeout | None = None

    async def run(self, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """Do the work of the job; park the job if it must give up its place.

        If Redis does not take it then, the work begins again.

        Raises:
            ParkedError: the job waits for its host.
        """
        while True:
            try:
                async with asyncio.timeout(None) as self._work:
                    return await work()
            except TimeoutError:
                if not self._work or not self._work.expired():
                    raise
                await self._raise_parked_or_keep_place()
            finally:
                self._work = None

    def give_up_place(self) -> None:
        """See `shares.Occupant`."""
        if self._work is not None and self._work.when() is None:
            self._work.reschedule(asyncio.get_running_loop().time())

    async def _join_host_share(self, progress: PageProgress) -> None:
        self._progress, host = progress, progress.host
        if self._shares is None or self._joined_host == host:
            return
        if not self._shares.has_room_for(host):
            await self._raise_parked_or_keep_place()
        self._shares.enter(host, self)
        self._joined_host = host

    def _give_back_share_and_place(self, *, has_ended: bool) -> None:
        if self._shares is not None and self._joined_host is not None:
            self._shares.leave(self._joined_host, self, has_ended=has_ended)
        self._joined_host = None

    async def _acquire_slot(self, limits: HostLimits, progress: PageProgress) -> Slot:
        parked = self._parked_message(progress)
        slot = await limits.acquire_or_park(progress.host, parked, token=self._token)
        if slot is None:
            metrics.JOB_WAITS.inc()
            self._give_back_share_and_place(has_ended=False)
            raise ParkedError
        return slot

    async def _raise_parked_or_keep_place(self) -> None:
        """Park the job where it has got to; return if Redis does not take it.

        Raises:
            ParkedError: Redis has it now.
        """
        if self._progress is None or self._limits is None:
            return
        host, slot = self._progress.host, self._slot
        if slot is not None and slot.host != host:
            slot = None
        try:
            await self._limits.park(
                host, self._parked_message(self._progress), slot=slot, token=self._token
            )
        except (RedisError, OSError) as error:
            log.warning("job beyond its host's share stays", error=repr(error))
            return
        if slot is not None:
            self._slot = None
        metrics.JOB_WAITS.inc()
        self._give_back_share_and_place(has_ended=False)
        raise ParkedError

    def _max_waiters_to_call(self, host: str) -> int:
        return UNLIMITED if self._shares is None else self._shares.max_more_jobs(host)

    def _parked_message(self, progress: PageProgress) -> bytes:
        parked = ParkedJob.of(
            self._raw,
            url=progress.target.url,
            hops=progress.hops,
            is_allowed=progress.is_allowed,
        )
        return parked.encode()
