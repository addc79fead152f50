"""What is read from PostgreSQL and Redis when Prometheus asks.

Many may ask at once: they share one reading, which is kept for a moment, and for longer where
it took long. A server that does not answer in time is said to be away, and its numbers are
left out: an alert must not take silence for an empty queue.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

import redis.asyncio as aioredis
import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api_service.celery_app import API_QUEUE, CONTROL_QUEUE
from api_service.database import Database
from api_service.parser_client.census import Census, QueueDepths
from api_service.repository import ParseRequestRepository, Unfinished

ANSWER_SECONDS = 2.5
FRESH_SECONDS = 1.0
MAX_FRESH_SECONDS = 5.0
COST_FACTOR = 10
"""A reading is kept for so many times as long as it took."""

# Where kombu keeps messages that a worker has taken and not acknowledged.
_UNACKED = "unacked"

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RedisSnapshot:
    """What Redis says."""

    depths: QueueDepths
    parsers: int
    workers: int
    messages: Mapping[str, int]


class Reading(Collector):
    """What was read, as metrics; None for a server that was away."""

    def __init__(
        self,
        *,
        unfinished: Mapping[str, Unfinished] | None,
        queue: RedisSnapshot | None,
        limit: int,
    ) -> None:
        self._unfinished = unfinished
        self._queue = queue
        self._limit = limit

    def collect(self) -> Iterable[Metric]:
        parts = {"database": self._unfinished, "redis": self._queue}
        yield _by(
            "part",
            "page_parser_up",
            "Whether a part answers the API in time.",
            {part: int(found is not None) for part, found in parts.items()},
        )
        yield GaugeMetricFamily(
            "page_parser_requests_limit",
            "Requests that have not ended, from which on no more are accepted.",
            value=self._limit,
        )
        if self._unfinished is not None:
            yield from _of_database(self._unfinished)
        if self._queue is not None:
            yield from _of_queue(self._queue)


def _of_database(unfinished: Mapping[str, Unfinished]) -> Iterable[Metric]:
    yield _by(
        "state",
        "page_parser_requests_unfinished",
        "Requests that have not ended, by where they stand; counted up to the limit.",
        {state: found.requests for state, found in unfinished.items()},
    )
    yield _by(
        "state",
        "page_parser_requests_oldest_age_seconds",
        "Time since the oldest of them was accepted; 0 where there is none.",
        {state: found.oldest_age for state, found in unfinished.items()},
    )
    yield GaugeMetricFamily(
        "page_parser_requests_suspect",
        "Requests for which nothing was found in Redis at the last look.",
        value=sum(found.suspects for found in unfinished.values()),
    )


def _of_queue(queue: RedisSnapshot) -> Iterable[Metric]:
    depths = queue.depths
    yield _by(
        "place",
        "page_parser_queue_jobs",
        "Jobs on their way to a page, by place: list, ready, host (waiting for it), held.",
        {
            "list": depths.jobs,
            "ready": depths.ready,
            "host": depths.waiting,
            "held": depths.held,
        },
    )
    yield GaugeMetricFamily(
        "page_parser_queue_results",
        "Results that were announced and are not taken over yet.",
        value=depths.results,
    )
    yield GaugeMetricFamily(
        "page_parser_queue_result_bytes",
        "Size of the results that wait to be persisted.",
        value=depths.result_bytes,
    )
    yield _by(
        "queue",
        "page_parser_celery_messages",
        "Celery's messages, by queue; unacked are those in workers' hands.",
        queue.messages,
    )
    yield _by(
        "kind",
        "page_parser_processes_seen",
        "Parsers and workers that showed themselves in the last seconds.",
        {"parser": queue.parsers, "worker": queue.workers},
    )


def _by(label: str, name: str, text: str, values: Mapping[str, float]) -> Metric:
    """A gauge with one label."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


class Gauges:
    """Reads what waits, at most once in a while.

    Args:
        limit: of requests that have not ended.
    """

    def __init__(
        self, *, database: Database, census: Census, redis: aioredis.Redis, limit: int
    ) -> None:
        self._database = database
        self._census = census
        self._redis = redis
        self._limit = limit
        self._reading: asyncio.Task[Reading] | None = None
        self._fresh_until = 0.0
        self._given_up: set[asyncio.Task[object]] = set()

    async def read(self) -> Reading:
        """The last reading, or one that is under way, or a new one. Never fails."""
        reading = self._reading
        if reading is None or (reading.done() and monotonic() >= self._fresh_until):
            reading = self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(reading)

    async def _read(self) -> Reading:
        started = monotonic()
        database = asyncio.create_task(self._ask_database())
        queue = asyncio.create_task(self._ask_queue())
        await asyncio.wait({database, queue}, timeout=ANSWER_SECONDS)
        reading = Reading(
            unfinished=self._answer("database", database),
            queue=self._answer("redis", queue),
            limit=self._limit,
        )
        ended = monotonic()
        pause = min(MAX_FRESH_SECONDS, max(FRESH_SECONDS, (ended - started) * COST_FACTOR))
        self._fresh_until = ended + pause
        return reading

    def _answer(self, part: str, asked: "asyncio.Task[T]") -> T | None:
        if not asked.done():
            # Not waited for: what it does to break off may take its time, too.
            asked.cancel()
            self._given_up.add(asked)
            asked.add_done_callback(self._forget)
            return None
        if error := asked.exception():
            log.warning("metrics not read", part=part, error=repr(error)[:200])
            return None
        return asked.result()

    def _forget(self, asked: "asyncio.Task[object]") -> None:
        self._given_up.discard(asked)
        if not asked.cancelled():
            asked.exception()  # looked at, so that asyncio does not complain

    async def _ask_database(self) -> Mapping[str, Unfinished]:
        async with self._database.transaction() as session:
            return await ParseRequestRepository(session).unfinished(most=self._limit)

    async def _ask_queue(self) -> RedisSnapshot:
        depths = await self._census.depths()
        parsers, workers = await self._census.count_alive()
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.llen(API_QUEUE)
            pipe.llen(CONTROL_QUEUE)
            pipe.hlen(_UNACKED)
            lengths = await pipe.execute()
        names = (API_QUEUE, CONTROL_QUEUE, _UNACKED)
        return RedisSnapshot(depths, parsers, workers, dict(zip(names, lengths, strict=True)))
