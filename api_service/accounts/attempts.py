"""Limit how often passwords are guessed, over all processes by Redis, else within this one."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError, ResponseError

from api_service.accounts.attempt_counters import AttemptCounter
from api_service.accounts.exceptions import TooManyAttemptsError
from api_service.parser_client.keys import Keys

REDIS_SECONDS = 0.5
"""Seconds for Redis to answer; a login does not wait longer for its limits."""
REDIS_PAUSE_SECONDS = 5.0
"""Seconds for which Redis is not asked again after it did not answer."""
MAX_LOCAL_COUNTERS = 10_000
_SCRIPT_FILE = Path(__file__).with_name("lua") / "attempts.lua"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TakenAttempt:
    """An attempt that was counted, and where, so that it can be given back."""

    counters: tuple[AttemptCounter, ...]
    in_redis: bool


class AttemptLimits:
    """Count attempts before they are made; a right password gives its attempt back.

    Replicas share the counts in Redis. While Redis does not answer, each process counts for itself.
    """

    def __init__(self, redis: aioredis.Redis, keys: Keys) -> None:
        self._keys = keys
        self._script = redis.register_script(_SCRIPT_FILE.read_text())
        self._local = LocalAttempts()
        self._away_until = 0.0

    async def require_room(self, counters: Sequence[AttemptCounter]) -> None:
        """Refuse what would be one attempt too many, and count nothing.

        Raises:
            TooManyAttemptsError: it says when the next one may be made.
        """
        await self._count("look", counters)

    async def take(self, counters: Sequence[AttemptCounter]) -> TakenAttempt:
        """Count an attempt, in all counters or in none.

        Raises:
            TooManyAttemptsError: it says when the next one may be made.
        """
        in_redis = await self._count("take", counters)
        return TakenAttempt(tuple(counters), in_redis)

    async def give_back(self, taken: TakenAttempt) -> None:
        """Count an attempt no longer: it was right, or it was not made."""
        if not taken.in_redis:
            self._local.give_back(taken.counters)
            return
        try:
            await self._run("give_back", taken.counters)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("attempt not given back", error=repr(error))

    async def _count(self, step: str, counters: Sequence[AttemptCounter]) -> bool:
        """Look or take; return whether Redis counts.

        Raises:
            TooManyAttemptsError: there is no room.
        """
        wait = await self._count_in_redis(step, counters)
        in_redis = wait is not None
        if wait is None:
            wait = self._local.count(counters, takes=step == "take")
        if wait > 0:
            raise TooManyAttemptsError(max(1, math.ceil(wait)))
        return in_redis

    async def _count_in_redis(self, step: str, counters: Sequence[AttemptCounter]) -> float | None:
        """Return the seconds until there is room; None if Redis does not answer, or did not."""
        if monotonic() < self._away_until:
            return None
        try:
            return await self._run(step, counters) / 1000
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("attempts are limited within this process", error=repr(error))
            if not isinstance(error, ResponseError):  # which tells of one counter, not of Redis
                self._away_until = monotonic() + REDIS_PAUSE_SECONDS
            return None

    async def _run(self, step: str, counters: Sequence[AttemptCounter]) -> int:
        arguments: list[str | int] = [step]
        for counter in counters:
            arguments += [counter.limit, counter.seconds * 1000]
        async with asyncio.timeout(REDIS_SECONDS):
            names = [self._keys.attempts(counter.subject) for counter in counters]
            return int(await self._script(keys=names, args=arguments))


class LocalAttempts:
    """Count attempts in this process's memory, as the script does in Redis."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, float]] = {}
        """The attempts and the end of the window, by subject."""

    def count(self, counters: Sequence[AttemptCounter], *, takes: bool) -> float:
        """Return the seconds until there is room; count an attempt if there is, if asked to."""
        now = monotonic()
        found = [self._read(counter, now) for counter in counters]
        ends = [
            end
            for (count, end), counter in zip(found, counters, strict=True)
            if count >= counter.limit
        ]
        if ends:
            return max(ends) - now
        if takes:
            self._make_room(len(counters), now)
            for (count, end), counter in zip(found, counters, strict=True):
                self._counts[counter.subject] = (count + 1, end)
        return 0

    def give_back(self, counters: Sequence[AttemptCounter]) -> None:
        """Count one attempt less."""
        for counter in counters:
            count, end = self._counts.get(counter.subject, (0, 0.0))
            if count:
                self._counts[counter.subject] = (count - 1, end)

    def _read(self, counter: AttemptCounter, now: float) -> tuple[int, float]:
        count, end = self._counts.get(counter.subject, (0, 0.0))
        return (count, end) if end > now else (0, now + counter.seconds)

    def _make_room(self, wanted: int, now: float) -> None:
        """Forget windows that have ended, then those that began first."""
        if len(self._counts) + wanted <= MAX_LOCAL_COUNTERS:
            return
        self._counts = {name: kept for name, kept in self._counts.items() if kept[1] > now}
        excess = len(self._counts) + wanted - MAX_LOCAL_COUNTERS
        for name in list(self._counts)[: max(0, excess)]:
            del self._counts[name]
