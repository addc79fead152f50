"""How the two entrances visit hosts: a job steps aside for its turn, a request waits for it.

Politeness is best effort while Redis is away: then pages are fetched without it.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Self

import structlog
from redis.exceptions import RedisError

from parser_service import metrics
from parser_service.fetching.fetcher import Hop
from parser_service.fetching.url_guard import Target
from parser_service.redis_queue.host_limits import HostLimits, Slot, host_of, parked_job

POLL_SECONDS = 0.025

log = structlog.get_logger()


class ParkedError(Exception):
    """The job waits in its host's list: somebody will be handed it when its turn has come."""


class _Visit:
    """Holds one slot at a time and leaves it at the end."""

    def __init__(
        self, limits: HostLimits | None, *, respect_robots: bool, slot: Slot | None = None
    ) -> None:
        self.respect_robots = respect_robots
        self._limits = limits
        self._slot = slot

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leave()

    async def enter(self, target: Target, hops: Sequence[Hop]) -> None:
        """See `fetcher.Visit`."""
        if self._limits is None:
            return
        host = host_of(target)
        if self._slot is not None and self._slot.host == host:
            return
        await self._leave()
        try:
            self._slot = await self._take_slot(self._limits, host, target, hops)
        except (RedisError, OSError) as error:
            log.warning("visiting a host without its limits", error=repr(error))

    async def _take_slot(
        self, limits: HostLimits, host: str, target: Target, hops: Sequence[Hop]
    ) -> Slot:
        raise NotImplementedError

    async def _leave(self) -> None:
        slot, self._slot = self._slot, None
        if slot is None or self._limits is None:
            return
        try:
            await self._limits.leave(slot)
        except (RedisError, OSError) as error:
            log.warning("slot left to expire", error=repr(error))


class JobAccess(_Visit):
    """The visit of a job from the list.

    Args:
        raw: the job's message, which is parked while it waits.
        token: the job's, by which it is leased while it does not wait.
        slot: what it has got already, if it waited before.
    """

    def __init__(
        self,
        limits: HostLimits | None,
        raw: bytes,
        *,
        respect_robots: bool,
        token: str | None = None,
        slot: Slot | None = None,
    ) -> None:
        super().__init__(limits, respect_robots=respect_robots, slot=slot)
        self._raw = raw
        self._token = token

    async def _take_slot(
        self, limits: HostLimits, host: str, target: Target, hops: Sequence[Hop]
    ) -> Slot:
        redirects = [(hop.url, hop.status) for hop in hops]
        parked = parked_job(self._raw, url=target.url, redirects=redirects)
        slot = await limits.enter_or_park(host, parked, token=self._token)
        if slot is None:
            metrics.JOB_WAITS.inc()
            raise ParkedError
        return slot


class RequestAccess(_Visit):
    """The visit of a request that a client waits for.

    Args:
        room: bounds the requests that are under way, those that wait for a host not counted.
    """

    def __init__(
        self, limits: HostLimits | None, room: asyncio.Semaphore, *, respect_robots: bool
    ) -> None:
        super().__init__(limits, respect_robots=respect_robots)
        self._room = room
        self._has_room = False

    async def __aexit__(self, *_: object) -> None:
        if self._has_room:
            self._room.release()
        await super().__aexit__()

    async def enter(self, target: Target, hops: Sequence[Hop]) -> None:
        """See `fetcher.Visit`."""
        await super().enter(target, hops)
        if not self._has_room:
            await self._room.acquire()
            self._has_room = True

    async def _take_slot(
        self, limits: HostLimits, host: str, _target: Target, _hops: Sequence[Hop]
    ) -> Slot:
        slot, is_ours = await limits.enter_or_queue(host)
        if not is_ours:
            metrics.REQUEST_WAITS.inc()
        try:
            while not is_ours:
                await asyncio.sleep(POLL_SECONDS)
                is_ours = await limits.claim(slot)
        except asyncio.CancelledError:
            # Whatever Redis says to that: the cancellation is what must come through.
            with contextlib.suppress(RedisError, OSError):
                await asyncio.shield(limits.withdraw(slot))
            raise
        return slot
