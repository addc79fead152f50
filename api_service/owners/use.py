"""Measure what a caller uses, and refuse what would exceed its limits.

Unfinished requests are counted from the rows, so the count agrees with them whatever dies. Between
two counts, what this process has accepted since is added. Ends are seen by the next count: that
makes the number too high, not too low. One process never accepts more than the limit; several may
exceed it by what the others accept between two counts.

A count reads the caller's unfinished rows, up to its limit. It starts behind what had ended at an
earlier one. Far from the limit, requests do not wait for it, and the pause to the next one is a
hundred times as long as it took. Near the limit it is made again before a request is refused,
after a pause of twenty times as long.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

import structlog

from api_service.caller import Caller, CallerLimits
from api_service.database import Database
from api_service.exceptions import DatabaseUnavailableError, RateLimitedError
from api_service.owners.repository import OwnerCount, OwnerRepository
from api_service.owners.settled_start import SettledStart
from api_service.queueing.batching import Batcher
from api_service.stored_bytes.repository import StoredBytesRepository

NEAR_SHARE = 0.9
"""The part of the limit from which on a caller is near it."""
NEAR_COST_FACTOR, FAR_COST_FACTOR = 20, 100
"""The pause after a count is this many times as long as the count took."""
MIN_NEAR_PAUSE_SECONDS, MIN_FAR_PAUSE_SECONDS = 0.02, 1.0
MAX_PAUSE_SECONDS = 60.0
MAX_OWNERS = 10_000
"""Owners whose use one process remembers; it counts again for those that it has forgotten."""
MAX_OWNERS_PER_STATEMENT = 50
MAX_COUNTED = 250_000
"""The most that is counted for a caller without a limit of its own."""
REQUESTS_RETRY_SECONDS, BYTES_RETRY_SECONDS = 1, 60

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OwnedAmounts:
    """What a caller has now; None for anonymous callers, of whom nothing is counted.

    Attributes:
        unfinished_requests: parse requests that have not ended; counted to just above the limit.
        stored_bytes: bytes of stored pages, as of some seconds ago.
    """

    unfinished_requests: int | None = None
    stored_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Count:
    """What the database has of one owner."""

    requests: int
    first: int
    stored_bytes: int


@dataclass(slots=True)
class _Use:
    """What is known of one owner's use."""

    counted: int = 0
    stored_bytes: int = 0
    accepted_since: int = 0
    being_stored: int = 0
    counted_at: float = 0.0
    cost: float | None = None
    first: SettledStart = field(default_factory=SettledStart)
    counting: asyncio.Task[None] | None = None

    @property
    def requests(self) -> int:
        return self.counted + self.accepted_since + self.being_stored

    def is_near(self, limits: CallerLimits) -> bool:
        """Return whether there is little room left, so that a new count may decide."""
        return any(
            limit is not None and used + 1 > limit * NEAR_SHARE
            for used, limit in (
                (self.requests, limits.unfinished_requests),
                (self.stored_bytes, limits.stored_bytes),
            )
        )

    def is_count_due(self, now: float, *, near: bool) -> bool:
        if self.cost is None:
            return True
        factor, least = (
            (NEAR_COST_FACTOR, MIN_NEAR_PAUSE_SECONDS)
            if near
            else (FAR_COST_FACTOR, MIN_FAR_PAUSE_SECONDS)
        )
        return now >= self.counted_at + min(MAX_PAUSE_SECONDS, max(least, factor * self.cost))


class CallerUse:
    """Knows what each caller uses, for one process.

    Args:
        timeout: seconds that a caller waits for a count at most.
        clock: running time in seconds.
    """

    def __init__(
        self, database: Database, *, timeout: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._uses: OrderedDict[UUID, _Use] = OrderedDict()
        self._counts = Batcher(self._count_all, limit=MAX_OWNERS_PER_STATEMENT, timeout=timeout)

    async def read(self, caller: Caller) -> OwnedAmounts:
        """Return what the caller uses now.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        if caller.owner_id is None:
            return OwnedAmounts()
        use = self._use_of(caller.owner_id)
        if use.is_count_due(self._clock(), near=True):
            await asyncio.shield(self._begin_count(caller.owner_id, use, caller.limits))
        return OwnedAmounts(use.requests, use.stored_bytes)

    @contextlib.asynccontextmanager
    async def admit(self, caller: Caller) -> AsyncIterator[None]:
        """Reserve a place for one more request; count first, if that is due.

        Raises:
            RateLimitedError, DatabaseUnavailableError: see the two parts of this.
        """
        await self.count_if_due(caller)
        with self.reserve_place(caller):
            yield

    async def count_if_due(self, caller: Caller) -> None:
        """Prepare `reserve_place`: wait for a count only if it may decide.

        Call it outside a transaction: the count needs a connection of its own.

        Raises:
            DatabaseUnavailableError: nothing is known of the caller's use, and the database does
                not answer.
        """
        if caller.owner_id is None or not _has_limits(caller.limits):
            return
        use = self._use_of(caller.owner_id)
        near = use.is_near(caller.limits)
        if not use.is_count_due(self._clock(), near=near):
            return
        counting = self._begin_count(caller.owner_id, use, caller.limits)
        if use.cost is None:
            await asyncio.shield(counting)
        elif near:
            # On failure, what was seen last counts.
            with contextlib.suppress(DatabaseUnavailableError):
                await asyncio.shield(counting)

    @contextlib.contextmanager
    def reserve_place(self, caller: Caller) -> Iterator[None]:
        """Reserve a place for one more request while it is being stored.

        Afterwards it counts as accepted, even if storing it failed.

        Raises:
            RateLimitedError: the caller has reached a limit.
        """
        if caller.owner_id is None or not _has_limits(caller.limits):
            yield
            return
        use = self._use_of(caller.owner_id)
        _refuse_beyond_limits(caller.limits, use)
        use.being_stored += 1
        try:
            yield
        finally:
            use.being_stored -= 1
            use.accepted_since += 1  # after a failure also: it may be stored all the same

    def _use_of(self, owner_id: UUID) -> _Use:
        if (use := self._uses.get(owner_id)) is None:
            use = self._uses[owner_id] = _Use()
            if len(self._uses) > MAX_OWNERS:
                self._forget_idle()
        self._uses.move_to_end(owner_id)
        return use

    def _forget_idle(self) -> None:
        """Forget the owner who has been idle for the longest time."""
        idle = (i for i, use in self._uses.items() if not (use.being_stored or use.counting))
        if (owner_id := next(idle, None)) is not None:
            del self._uses[owner_id]

    def _begin_count(self, owner_id: UUID, use: _Use, limits: CallerLimits) -> "asyncio.Task[None]":
        """Return the count of this owner that is under way, or begin one."""
        if use.counting is None:
            most = limits.unfinished_requests
            asked = OwnerCount(
                owner_id,
                use.first.get(self._clock()),
                MAX_COUNTED if most is None else min(most + 1, MAX_COUNTED),
            )
            use.counting = asyncio.create_task(
                self._count(asked, use), context=(nobodys := Context())
            )
            use.counting.add_done_callback(_log_failure, context=nobodys)
        return use.counting

    async def _count(self, asked: OwnerCount, use: _Use) -> None:
        started, accepted_before = self._clock(), use.accepted_since
        try:
            found = await self._counts.submit(asked)
            use.counted, use.stored_bytes = found.requests, found.stored_bytes
            use.accepted_since -= accepted_before
            use.first.record(found.first, self._clock())
            use.cost = self._clock() - started
        except TimeoutError as error:
            raise DatabaseUnavailableError from error
        finally:
            use.counted_at = self._clock()
            use.counting = None

    async def _count_all(self, asked: Sequence[OwnerCount]) -> Sequence[_Count]:
        """Count for several owners in one statement."""
        async with self._database.read_session() as session:
            found = await OwnerRepository(session).count_unfinished(asked)
            stored = await StoredBytesRepository(session).read([one.owner_id for one in asked])
        return [_Count(*found[one.owner_id], stored.get(one.owner_id, 0)) for one in asked]


def _has_limits(limits: CallerLimits) -> bool:
    return limits.unfinished_requests is not None or limits.stored_bytes is not None


def _refuse_beyond_limits(limits: CallerLimits, use: _Use) -> None:
    most = limits.unfinished_requests
    if most is not None and use.requests >= most:
        raise RateLimitedError(
            f"You have {most:,} unfinished requests, as many as you may; wait until some end.",
            retry_after=REQUESTS_RETRY_SECONDS,
        )
    if limits.stored_bytes is not None and use.stored_bytes >= limits.stored_bytes:
        raise RateLimitedError(
            f"You store {use.stored_bytes:,} bytes and may store {limits.stored_bytes:,}; wait "
            f"until some are deleted.",
            retry_after=BYTES_RETRY_SECONDS,
        )


def _log_failure(counting: "asyncio.Task[None]") -> None:
    if not counting.cancelled() and (error := counting.exception()):
        log.warning("a caller's use not counted", error=repr(error)[:200])
