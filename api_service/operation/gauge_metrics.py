"""What was read of PostgreSQL and Redis, as metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api_service.parser_client.queue import QueueDepths
from api_service.repository import Unfinished


@dataclass(frozen=True, slots=True)
class RedisSnapshot:
    """What Redis says."""

    depths: QueueDepths
    parsers: int
    workers: int
    messages: Mapping[str, int]


class GaugeSnapshot(Collector):
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
