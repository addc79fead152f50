"""Turn what was read from PostgreSQL and Redis into metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api_service.parser_client.census import QueueDepths
from api_service.queueing.repository import StateSummary


@dataclass(frozen=True, slots=True)
class RedisSnapshot:
    """Hold what was read from Redis.

    Attributes:
        depths: of the parsers' queue.
        parsers: that were seen in the last seconds.
        workers: the same.
        messages: Celery's, by queue.
    """

    depths: QueueDepths
    parsers: int
    workers: int
    messages: Mapping[str, int]


class GaugeSnapshot(Collector):
    """Render what was read as metrics.

    Args:
        unfinished: requests by state; None if PostgreSQL did not answer.
        redis: None if Redis did not answer.
        limit: of unfinished requests.
    """

    def __init__(
        self,
        *,
        unfinished: Mapping[str, StateSummary] | None,
        redis: RedisSnapshot | None,
        limit: int,
    ) -> None:
        self._unfinished = unfinished
        self._redis = redis
        self._limit = limit

    def collect(self) -> Iterable[Metric]:
        parts = {"database": self._unfinished, "redis": self._redis}
        yield _gauge_by_label(
            "part",
            "page_parser_up",
            "Whether a part answers the API in time.",
            {part: int(found is not None) for part, found in parts.items()},
        )
        yield GaugeMetricFamily(
            "page_parser_requests_limit",
            "Unfinished requests from which on no more are accepted.",
            value=self._limit,
        )
        if self._unfinished is not None:
            yield from _database_gauges(self._unfinished)
        if self._redis is not None:
            yield from _redis_gauges(self._redis)


def _database_gauges(unfinished: Mapping[str, StateSummary]) -> Iterable[Metric]:
    yield _gauge_by_label(
        "state",
        "page_parser_requests_unfinished",
        "Unfinished requests, by state; counted up to twice the limit.",
        {state: found.requests for state, found in unfinished.items()},
    )
    yield _gauge_by_label(
        "state",
        "page_parser_requests_oldest_age_seconds",
        "Time since the oldest of them was accepted; 0 if there is none.",
        {state: found.oldest_age for state, found in unfinished.items()},
    )
    yield GaugeMetricFamily(
        "page_parser_requests_suspect",
        "Requests of which the last look found no trace in Redis.",
        value=sum(found.suspects for found in unfinished.values()),
    )


def _redis_gauges(redis: RedisSnapshot) -> Iterable[Metric]:
    depths = redis.depths
    yield _gauge_by_label(
        "place",
        "page_parser_queue_jobs",
        "Jobs that wait or run, by place: list, ready, host (waiting for a slot), held.",
        {
            "list": depths.jobs,
            "ready": depths.ready,
            "host": depths.waiting,
            "held": depths.held,
        },
    )
    yield GaugeMetricFamily(
        "page_parser_queue_results",
        "Results that were announced and are not persisted yet.",
        value=depths.results,
    )
    yield GaugeMetricFamily(
        "page_parser_queue_result_bytes",
        "Size of the results that wait to be persisted.",
        value=depths.result_bytes,
    )
    yield _gauge_by_label(
        "queue",
        "page_parser_celery_messages",
        "Celery's messages, by queue; unacked are those that workers hold.",
        redis.messages,
    )
    yield _gauge_by_label(
        "kind",
        "page_parser_processes_seen",
        "Parsers and workers that sent a heartbeat in the last seconds.",
        {"parser": redis.parsers, "worker": redis.workers},
    )


def _gauge_by_label(label: str, name: str, text: str, values: Mapping[str, float]) -> Metric:
    """Make a gauge with one label."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
