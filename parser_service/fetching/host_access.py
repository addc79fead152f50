"""Wait for a host's slot before each request to it, and hold the slot meanwhile.

Host limits are best effort: while Redis is down, pages are fetched without them.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Self

import structlog
from redis.exceptions import RedisError

from parser_service import metrics
from parser_service.fetching.fetcher import Hop
from parser_service.fetching.url_guard import VettedUrl
from parser_service.redis_queue.host_limits import HostLimits, Slot

POLL_SECONDS = 0.025

log = structlog.get_logger()


class SlotHolder:
    """Hold one slot at a time, and what else the page occupies, until the block ends.

    Args:
        limits: None if the settings set no limits.
        slot: a slot that is already held.
    """

    def __init__(self, limits: HostLimits | None, *, slot: Slot | None = None) -> None:
        self._limits = limits
        self._slot = slot
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._resources:
            await self._leave()

    async def hold(self, resource: AbstractAsyncContextManager[object]) -> None:
        """See `fetcher.HostAccess`."""
        await self._resources.enter_async_context(resource)

    async def obtain_slot(self, target: VettedUrl, hops: Sequence[Hop]) -> None:
        """See `fetcher.HostAccess`."""
        if self._limits is None:
            return
        host = target.host_key
        if self._slot is not None and self._slot.host == host:
            return
        await self._leave()
        try:
            self._slot = await self._obtain_slot(self._limits, host, target, hops)
        except (RedisError, OSError) as error:
            log.warning("host limits unavailable; fetching without them", error=repr(error))

    async def _obtain_slot(
        self, limits: HostLimits, host: str, target: VettedUrl, hops: Sequence[Hop]
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


class RequestAccess(SlotHolder):
    """Hold the slots of a request that a client waits for.

    Args:
        limits: None if the settings set no limits.
        room: bounds the requests in flight; those that wait for a host do not count.
    """

    def __init__(self, limits: HostLimits | None, room: asyncio.Semaphore) -> None:
        super().__init__(limits)
        self._room = room
        self._has_room = False

    async def __aexit__(self, *_: object) -> None:
        if self._has_room:
            self._room.release()
        await super().__aexit__()

    async def obtain_slot(self, target: VettedUrl, hops: Sequence[Hop]) -> None:
        """Wait for the host's slot, then for room in this process."""
        await super().obtain_slot(target, hops)
        if not self._has_room:
            await self._room.acquire()
            self._has_room = True

    async def _obtain_slot(
        self, limits: HostLimits, host: str, _target: VettedUrl, _hops: Sequence[Hop]
    ) -> Slot:
        slot, is_ours = await limits.acquire_or_get_ticket(host)
        if not is_ours:
            metrics.REQUEST_WAITS.inc()
        try:
            while not is_ours:
                await asyncio.sleep(POLL_SECONDS)
                is_ours = await limits.claim(slot)
        except asyncio.CancelledError:
            # The cancellation must reach the caller, whatever Redis answers.
            with contextlib.suppress(RedisError, OSError):
                await asyncio.shield(limits.withdraw(slot))
            raise
        return slot
