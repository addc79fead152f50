"""Limit the requests that a user sends in a minute, over all processes.

Redis counts them. So that a request costs no round trip, a process leases up to 1/600 of a limit
at a time, and at least one: limits up to 1,199 are exact, and of a larger one at most 1/600 for
each process is left unused. While Redis does not answer, each process counts for itself.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from uuid import UUID

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from api_service.caller import Caller

WINDOW_SECONDS = 60
LEASES_PER_LIMIT = 600
REDIS_SECONDS = 0.5
"""Seconds for Redis to answer; a request does not wait longer for its limit."""
REDIS_PAUSE_SECONDS = 5.0
"""Seconds after a failure in which Redis is not asked again."""
MAX_WINDOWS = 10_000
"""Users whose window one process remembers."""
_SCRIPT_FILE = Path(__file__).with_name("lua") / "lease_calls.lua"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RateState:
    """What a user has left of the limit.

    Attributes:
        is_admitted: whether this request is within it.
        limit: requests in a window.
        left: requests after this one.
        seconds: until the window ends, at least 1.
    """

    is_admitted: bool
    limit: int
    left: int
    seconds: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that tell a client."""
        policy = f'"minute";q={self.limit};w={WINDOW_SECONDS}'
        state = f'"minute";r={self.left};t={self.seconds}'
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]

    def explain(self) -> str:
        """Say what a client that is not admitted has to do."""
        return (
            f"You have sent {self.limit:,} requests in this minute, as many as you may; wait until "
            f"it ends."
        )


@dataclass(slots=True)
class _Window:
    """What this process knows of one user's minute.

    Attributes:
        used: requests that all processes have leased.
        left: of those, the ones that this process may still use.
    """

    limit: int
    used: int = 0
    left: int = 0
    ends: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RequestRates:
    """Counts the requests of users.

    Args:
        name_key: names the counter of a user.
        clock: running time in seconds.
    """

    def __init__(
        self,
        redis: aioredis.Redis,
        *,
        name_key: Callable[[UUID], str],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._redis = redis
        self._script = redis.register_script(_SCRIPT_FILE.read_text())
        self._name_key = name_key
        self._clock = clock
        self._windows: dict[UUID, _Window] = {}
        self._redis_asked_from = 0.0

    async def take(self, caller: Caller) -> RateState | None:
        """Count a request; return what is left, or None for callers without a limit."""
        limit = caller.limits.requests_per_minute
        if caller.owner_id is None or limit is None:
            return None
        window = self._window_of(caller.owner_id, limit)
        if not self._has_answer(window, limit):
            async with window.lock:
                if not self._has_answer(window, limit):
                    await self._lease(caller.owner_id, window, limit)
        is_admitted = window.left > 0
        window.left -= is_admitted
        return self._state(window, is_admitted=is_admitted)

    async def read_used(self, caller: Caller) -> int:
        """Return how many requests of a user were counted in this minute."""
        if caller.owner_id is None:
            return 0
        window = self._windows.get(caller.owner_id)
        is_current = window is not None and self._clock() < window.ends
        unused = window.left if window is not None and is_current else 0
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                found = int(await self._redis.get(self._name_key(caller.owner_id)) or 0)
        except (RedisError, OSError, TimeoutError, ValueError):
            found = window.used if window is not None and is_current else 0
        return max(0, found - unused)

    def _window_of(self, owner_id: UUID, limit: int) -> _Window:
        window = self._windows.get(owner_id)
        if window is None:
            if len(self._windows) >= MAX_WINDOWS:
                self._make_room()
            window = self._windows[owner_id] = _Window(limit)
        return window

    def _has_answer(self, window: _Window, limit: int) -> bool:
        """Return whether the next request can be judged by what is known."""
        if window.limit != limit or self._clock() >= window.ends:
            return False
        return window.left > 0 or window.used >= limit

    async def _lease(self, owner_id: UUID, window: _Window, limit: int) -> None:
        wanted = max(1, limit // LEASES_PER_LIMIT)
        if self._clock() >= self._redis_asked_from:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    leased, used, left_ms = await self._script(
                        keys=[self._name_key(owner_id)], args=[limit, wanted, WINDOW_SECONDS * 1000]
                    )
            except (RedisError, OSError, TimeoutError) as error:
                self._redis_asked_from = self._clock() + REDIS_PAUSE_SECONDS
                log.warning("requests are limited within this process", error=repr(error)[:200])
            else:
                window.limit, window.used, window.left = limit, int(used), int(leased)
                window.ends = self._clock() + int(left_ms) / 1000
                return
        self._lease_locally(window, limit, wanted)

    def _lease_locally(self, window: _Window, limit: int, wanted: int) -> None:
        """Go on from what is known, or begin a window of this process's own."""
        if self._clock() >= window.ends:
            window.used, window.ends = 0, self._clock() + WINDOW_SECONDS
        window.limit = limit
        window.left = max(0, min(wanted, limit - window.used))
        window.used += window.left

    def _state(self, window: _Window, *, is_admitted: bool) -> RateState:
        left = max(0, window.limit - window.used + window.left)
        seconds = max(1, math.ceil(window.ends - self._clock()))
        return RateState(is_admitted, window.limit, left, min(seconds, WINDOW_SECONDS))

    def _make_room(self) -> None:
        """Forget windows that have ended, else the one that was begun first."""
        now = self._clock()
        kept = {owner: window for owner, window in self._windows.items() if window.ends > now}
        if len(kept) >= MAX_WINDOWS:
            del kept[next(iter(kept))]
        self._windows = kept
