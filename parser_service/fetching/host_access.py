"""Wait for a host's slot before each request to it, and hold the slot meanwhile.

Host limits are best effort: while Redis is down, pages are fetched without them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Self

import structlog
from redis.exceptions import RedisError

from parser_service import metrics
from parser_service.exceptions import BusyError
from parser_service.fetching.hop import Hop
from parser_service.fetching.intervals import REDIS_TIMEOUT_SECONDS, wait_and_take_near_request_time
from parser_service.fetching.places import FetchPlaces
from parser_service.fetching.url_guard import VettedUrl
from parser_service.redis_queue.host_limits import UNLIMITED, HostLimits, Slot

TICKET_POLL_PERIOD_SECONDS = 0.025

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PageProgress:
    """Hold how far a page has come: see `fetcher.HostAccess.obtain_host_access`.

    Attributes:
        host: the host of the next request.
    """

    host: str
    target: VettedUrl
    hops: Sequence[Hop]
    is_allowed: bool


class HostAccessBase:
    """Hold one slot at a time, and what else the page occupies, until the block ends.

    A page that goes on to another host, or must wait for its own, first leaves all it has there.

    Args:
        limits: None if the settings set no limits.
        slot: a slot that is already held.
    """

    def __init__(self, limits: HostLimits | None, *, slot: Slot | None = None) -> None:
        self._limits = limits
        self._slot = slot
        self._joined_host: str | None = None
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._resources:
            await self._leave_host(has_ended=True)

    async def hold_until_delivered(self, resource: AbstractAsyncContextManager[object]) -> None:
        """See `fetcher.HostAccess`."""
        await self._resources.enter_async_context(resource)

    async def obtain_host_access(
        self, target: VettedUrl, hops: Sequence[Hop], *, is_allowed: bool = False
    ) -> None:
        """See `fetcher.HostAccess`."""
        host = target.host_key
        progress = PageProgress(host, target, hops, is_allowed)
        if self._joined_host not in (None, host):
            await self._leave_host(has_ended=True)
        while True:
            await self._join_host_share(progress)
            await self._ensure_slot(progress)
            await self._take_place()
            if self._limits is None or not self._limits.has_interval:
                return
            if await self._wait_and_take_request_time(self._limits, host):
                return
            await self._leave_host(has_ended=False)

    async def _ensure_slot(self, progress: PageProgress) -> None:
        """Hold a slot of the host, unless hosts have no limit or Redis is down.

        A slot of another host is released.
        """
        if self._slot is not None and self._slot.host != progress.host:
            await self._release_slot()
        if self._slot is not None or self._limits is None or self._limits.is_unlimited:
            return
        try:
            self._slot = await self._acquire_slot(self._limits, progress)
        except (RedisError, OSError) as error:
            log.warning("host limits unavailable; fetching without them", error=repr(error))

    async def _join_host_share(self, progress: PageProgress) -> None:
        """Count this page in its host's share of the places; if that is full, wait for it.

        Raises:
            BusyError: that takes too long for the client that waits.
            NotFetchedYetError: a job is parked instead.
        """
        raise NotImplementedError

    async def _take_place(self) -> None:
        """Take what only pages that have a slot may have."""

    async def _wait_and_take_request_time(self, limits: HostLimits, host: str) -> bool:
        """Wait for the host's next moment; return False if it is too far away."""
        return await wait_and_take_near_request_time(limits, host)

    def _give_back_share_and_place(self, *, has_ended: bool) -> None:
        """Give back what `_join_host_share` and `_take_place` took.

        Args:
            has_ended: whether the host is done with the page, as opposed to its having to wait.
        """
        raise NotImplementedError

    async def _acquire_slot(self, limits: HostLimits, progress: PageProgress) -> Slot:
        """Take a slot of the host, waiting for it.

        Raises:
            BusyError: that takes too long for the client that waits.
            NotFetchedYetError: a job is parked instead.
        """
        raise NotImplementedError

    def _max_waiters_to_call(self, _host: str) -> int:
        """Return how many waiters of a host may get a slot when one is left."""
        return UNLIMITED

    async def _leave_host(self, *, has_ended: bool) -> None:
        self._give_back_share_and_place(has_ended=has_ended)
        await self._release_slot()

    async def _release_slot(self) -> None:
        slot, self._slot = self._slot, None
        if slot is None or self._limits is None:
            return
        try:
            await self._limits.release(slot, hand_over=self._max_waiters_to_call(slot.host))
        except (RedisError, OSError) as error:
            log.warning("slot left to expire", error=repr(error))


class SyncPageAccess(HostAccessBase):
    """Hold the slots of a request that a client waits for.

    It waits for its host's share, then for a slot of the host, then for a place. If that takes
    too long, `obtain_host_access` raises BusyError.

    Args:
        limits: None if the settings set no limits.
        places: bound the requests in flight; those that wait for a host have none.
        patience: seconds that the request may wait, all its waits together.
    """

    def __init__(self, limits: HostLimits | None, places: FetchPlaces, *, patience: float) -> None:
        super().__init__(limits)
        self._places = places
        self._patience = patience
        self._has_place = False

    async def _join_host_share(self, progress: PageProgress) -> None:
        if self._joined_host is not None:
            return
        # Whoever need not wait needs no timer either: most pages need not.
        if self._places.has_room_in_share(progress.host):
            await self._places.join_share(progress.host)
        else:
            async with self._limit_waiting():
                await self._places.join_share(progress.host)
        self._joined_host = progress.host

    async def _take_place(self) -> None:
        if self._has_place:
            return
        if self._places.has_free_place():
            await self._places.take()
        else:
            async with self._limit_waiting():
                await self._places.take()
        self._has_place = True

    async def _wait_and_take_request_time(self, limits: HostLimits, host: str) -> bool:
        async with self._limit_waiting():
            return await super()._wait_and_take_request_time(limits, host)

    def _give_back_share_and_place(self, *, has_ended: bool) -> None:  # noqa: ARG002 - for jobs
        if self._has_place:
            self._places.give_back()
            self._has_place = False
        if self._joined_host is not None:
            self._places.leave_share(self._joined_host)
            self._joined_host = None

    async def _acquire_slot(self, limits: HostLimits, progress: PageProgress) -> Slot:
        # A Redis that hangs counts as one that is down: TimeoutError is an OSError.
        async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
            slot, is_ours = await limits.acquire_or_get_ticket(progress.host)
        if not is_ours:
            metrics.REQUEST_WAITS.inc()
            async with self._limit_waiting():
                await _wait_for_turn(limits, slot)
        return slot

    @asynccontextmanager
    async def _limit_waiting(self) -> AsyncIterator[None]:
        """Count the time of the block as a wait.

        Raises:
            BusyError: the request has waited too long.
        """
        began = monotonic()
        limit = asyncio.timeout(self._patience)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise BusyError from None
        finally:
            self._patience = max(0.0, self._patience - (monotonic() - began))


async def _wait_for_turn(limits: HostLimits, ticket: Slot) -> None:
    is_ours = False
    try:
        while not is_ours:
            await asyncio.sleep(TICKET_POLL_PERIOD_SECONDS)
            is_ours = await limits.claim_ticketed_slot(ticket)
    except (asyncio.CancelledError, RedisError, OSError):
        # An unclaimed ticket would hold up the line.
        limits.cancel_ticket_later(ticket)
        raise
