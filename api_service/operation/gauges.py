"""Read gauges from PostgreSQL and Redis when Prometheus scrapes.

Concurrent scrapes share one snapshot. It is kept for a moment, and longer if reading was slow.
A server that does not answer in time is reported as down and its gauges are omitted, so that no
alert reads silence as an empty queue.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from time import monotonic
from typing import Any, TypeVar

import redis.asyncio as aioredis
import structlog

from api_service.celery_app import API_QUEUE, CONTROL_QUEUE
from api_service.operation.gauge_metrics import GaugeSnapshot, RedisSnapshot
from api_service.parser_client.census import RedisCensus
from api_service.process.deadline import AbandoningTimeout
from api_service.queueing.repository import StateSummary
from api_service.queueing.unfinished import UnfinishedCount

ANSWER_TIMEOUT_SECONDS = 2.5
MIN_SNAPSHOT_SECONDS = 1.0
MAX_SNAPSHOT_SECONDS = 5.0
SNAPSHOT_SECONDS_PER_READ_SECOND = 10
"""A snapshot is kept for this many times as long as reading it took."""

# Where kombu keeps messages that a worker has taken and not acknowledged.
_UNACKED_KEY = "unacked"

T = TypeVar("T")

log = structlog.get_logger()


class Gauges:
    """Read how much waits in PostgreSQL and Redis, at most once in a while.

    Args:
        unfinished: asks PostgreSQL, at least whether it answers.
        limit: of unfinished requests.
        celery_prefix: what precedes the names of Celery's keys.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        *,
        unfinished: UnfinishedCount,
        census: RedisCensus,
        redis: aioredis.Redis,
        limit: int,
        celery_prefix: str = "",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._unfinished = unfinished
        self._census = census
        self._redis = redis
        self._limit = limit
        self._celery_prefix = celery_prefix
        self._clock = clock
        self._timeout = AbandoningTimeout(ANSWER_TIMEOUT_SECONDS)
        self._reading: asyncio.Task[GaugeSnapshot] | None = None
        self._fresh_until = 0.0

    async def read(self) -> GaugeSnapshot:
        """Return the last snapshot while it is fresh, else the one being read. Never fails."""
        reading = self._reading
        if reading is None or (reading.done() and self._clock() >= self._fresh_until):
            reading = self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(reading)

    async def _read(self) -> GaugeSnapshot:
        started = self._clock()
        unfinished, redis = await asyncio.gather(
            self._answer_or_none("database", self._ask_database()),
            self._answer_or_none("redis", self._ask_redis()),
        )
        ended = self._clock()
        pause = min(
            MAX_SNAPSHOT_SECONDS,
            max(MIN_SNAPSHOT_SECONDS, (ended - started) * SNAPSHOT_SECONDS_PER_READ_SECOND),
        )
        self._fresh_until = ended + pause
        return GaugeSnapshot(unfinished=unfinished, redis=redis, limit=self._limit)

    async def _answer_or_none(self, part: str, question: Coroutine[Any, Any, T]) -> T | None:
        """Return the answer, or None from a server that is silent or fails."""
        try:
            return await self._timeout.run(question)
        except TimeoutError:
            return None
        except Exception as error:  # noqa: BLE001 - a scrape shows what can be shown
            log.warning("metrics not read", part=part, error=repr(error)[:200])
            return None

    async def _ask_database(self) -> Mapping[str, StateSummary]:
        await self._unfinished.look()
        return self._unfinished.states

    async def _ask_redis(self) -> RedisSnapshot:
        depths = await self._census.read_depths()
        parsers, workers = await self._census.count_alive_parsers_and_workers()
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.llen(f"{self._celery_prefix}{API_QUEUE}")
            pipe.llen(f"{self._celery_prefix}{CONTROL_QUEUE}")
            pipe.hlen(f"{self._celery_prefix}{_UNACKED_KEY}")
            lengths = await pipe.execute()
        names = (API_QUEUE, CONTROL_QUEUE, _UNACKED_KEY)
        return RedisSnapshot(depths, parsers, workers, dict(zip(names, lengths, strict=True)))
