"""Bound the bytes of bodies that one process holds, whatever sites send and however slowly.

A body takes bytes from one budget as it grows, and gives them back when its page is delivered.
When none are left it waits, and its connection with it. Two rules keep this from standing still:

- If all bodies wait, the one that began first goes on beyond the budget. So the budget is
  exceeded by one body at most.
- While any waits, a body that arrives more slowly than its bytes deserve gives way: it fails,
  and may be tried again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic
from typing import Self

from parser_service.exceptions import FetchTimeoutError

GRACE_SECONDS = 2.0
"""Seconds that a body has besides those that its bytes deserve."""
CHECK_SECONDS = 0.5
"""Seconds between two searches for a body that is too slow, while another waits."""


class BodyBudget:
    """Hand out bytes to bodies.

    Args:
        total: bytes.
        min_rate: bytes a second that a body must arrive with while others wait.
        clock: running time in seconds.
    """

    def __init__(
        self, total: int, *, min_rate: int, clock: Callable[[], float] = monotonic
    ) -> None:
        self._free = total
        self._min_rate = min_rate
        self._clock = clock
        # In the order in which they began.
        self._bodies: dict[GrowingBody, None] = {}
        self._waiters: dict[GrowingBody, tuple[int, asyncio.Future[None]]] = {}

    def begin(self, is_silent: Callable[[], bool]) -> "GrowingBody":
        """Return a new body without bytes.

        Args:
            is_silent: whether the site has sent nothing that this process has not read.
        """
        return GrowingBody(self, is_silent)

    def add(self, body: "GrowingBody") -> None:
        """Count a body, from now on."""
        body.began_at = self._clock()
        self._bodies[body] = None

    async def take(self, body: "GrowingBody", size: int) -> None:
        """Take bytes for a body that is counted, or wait for them."""
        if not self._waiters and size <= self._free:
            self._free -= size
            body.taken += size
            return
        since = self._clock()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[body] = size, waiter
        try:
            self._serve()
            while not waiter.done():
                self._evict_slowest()
                await asyncio.wait({waiter}, timeout=CHECK_SECONDS)
        finally:
            if self._waiters.pop(body, None):
                self._serve()
        body.began_at += self._clock() - since  # the site is not to blame for this

    def give_back(self, body: "GrowingBody") -> None:
        """Count a body no longer."""
        self._free += body.taken
        self._bodies.pop(body, None)
        self._serve()

    def _serve(self) -> None:
        """Give bytes to those who wait, the oldest bodies first."""
        for body in list(self._bodies):
            if body not in self._waiters:
                continue
            size, waiter = self._waiters[body]
            do_all_wait = len(self._waiters) == len(self._bodies)
            if size > self._free and not do_all_wait:
                return
            self._free -= size
            body.taken += size
            del self._waiters[body]
            if not waiter.done():
                waiter.set_result(None)

    def _evict_slowest(self) -> None:
        now = self._clock()
        late = {
            body: now - body.began_at - GRACE_SECONDS - body.taken / self._min_rate
            for body in self._bodies
            if body not in self._waiters and not body.has_arrived
        }
        for body in sorted(late, key=late.__getitem__, reverse=True):
            if late[body] <= 0:
                return
            if body.is_silent():  # else this process is slow, and not the site
                body.give_way()
                return


class GrowingBody(AbstractAsyncContextManager["GrowingBody"]):
    """Hold the bytes of one body until the block ends.

    Attributes:
        taken: bytes of the budget.
        began_at: when it began, moved on by the time that it waited for the budget.
        has_arrived: whether it is complete, or has failed.
        is_silent: see `BodyBudget.begin`.
    """

    def __init__(self, budget: BodyBudget, is_silent: Callable[[], bool]) -> None:
        self._budget = budget
        self.is_silent = is_silent
        self.taken = 0
        self.began_at = 0.0
        self.has_arrived = False
        self._arrival: asyncio.Timeout | None = None

    async def __aenter__(self) -> Self:
        self._budget.add(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._budget.give_back(self)

    async def take(self, size: int) -> None:
        """Take bytes of the budget, or wait for them."""
        await self._budget.take(self, size)

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[None]:
        """Mark the block in which the body arrives.

        Raises:
            FetchTimeoutError: it arrives too slowly, and others wait.
        """
        try:
            async with asyncio.timeout(None) as self._arrival:
                yield
        except TimeoutError:
            if self._arrival is None or not self._arrival.expired():
                raise
            raise FetchTimeoutError("The site sends too slowly, while other pages wait.") from None
        finally:
            self.has_arrived = True

    def give_way(self) -> None:
        """Let the body fail where it arrives."""
        if self._arrival is not None and self._arrival.when() is None:
            self._arrival.reschedule(asyncio.get_running_loop().time())
