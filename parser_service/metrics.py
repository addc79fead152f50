"""What Prometheus is told of a parser. `docs/monitoring.md` lists all of it.

The HTTP side and the listener keep their numbers in files of one folder, which the start script
names in PROMETHEUS_MULTIPROC_DIR; the HTTP side answers for both. A process that is run without
the folder answers for itself. Nothing has labels whose values come from outside.
"""

import os
from collections.abc import Iterable, Iterator

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from parser_service.exceptions import FetchError

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
REGISTRY = CollectorRegistry()

disable_created_metrics()  # a second series beside each, which nobody reads

PAGES = Counter(
    "page_parser_pages_total",
    "Pages that were asked for, by outcome: success, or the code of the reason.",
    ["outcome"],
    registry=REGISTRY,
)
PAGE_DURATION = Histogram(
    "page_parser_page_duration_seconds",
    "Time that pages took from look-up to parsed, or until they failed.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
    registry=REGISTRY,
)
PAGE_BYTES = Counter(
    "page_parser_page_bytes_total",
    "Size of the pages that were fetched and parsed, content encoding undone.",
    registry=REGISTRY,
)
PAGES_IN_FLIGHT = Gauge(
    "page_parser_pages_under_way",
    "Pages that are being fetched or parsed, or for which a client of /fetch waits.",
    registry=REGISTRY,
    multiprocess_mode="sum",
)
CHILD_PARSES = Counter(
    "page_parser_child_parses_total",
    "Pages that were parsed in a child process, by outcome: parsed, or failed.",
    ["outcome"],
    registry=REGISTRY,
)
JOBS_TAKEN = Counter(
    "page_parser_jobs_taken_total",
    "Messages that were taken from the lists of jobs.",
    registry=REGISTRY,
)
JOBS_REFUSED = Counter(
    "page_parser_jobs_refused_total",
    "Messages among them that were no jobs and were set aside.",
    registry=REGISTRY,
)
JOBS_HANDED_BACK = Counter(
    "page_parser_jobs_handed_back_total",
    "Jobs that were put back: at a stop, or because they must run alone and others ran.",
    registry=REGISTRY,
)
HOST_WAITS = Counter(
    "page_parser_host_waits_total",
    "How often a host was busy, so that a job or a request of /fetch waited for it.",
    ["entrance"],
    registry=REGISTRY,
)
THROTTLED = Counter(
    "page_parser_throttled_seconds_total",
    "Time in which no jobs were taken because too many results waited to be persisted.",
    registry=REGISTRY,
)


def _codes(kind: type[FetchError]) -> Iterator[str]:
    yield kind.code
    for narrower in kind.__subclasses__():
        yield from _codes(narrower)


# All series are there from the start: a rate needs to have seen the zero before the one.
_success = PAGES.labels("success")
_failures = {code: PAGES.labels(code) for code in sorted({*_codes(FetchError)})}
CHILD_PARSED, CHILD_FAILED = CHILD_PARSES.labels("parsed"), CHILD_PARSES.labels("failed")
JOB_WAITS, REQUEST_WAITS = HOST_WAITS.labels("job"), HOST_WAITS.labels("request")


def count_page(*, seconds: float, size: int) -> None:
    """Count a page that was fetched and parsed."""
    _success.inc()
    PAGE_BYTES.inc(size)
    PAGE_DURATION.observe(seconds)


def count_failure(code: str, *, seconds: float) -> None:
    """Count a page that could not be had."""
    _failures[code].inc()
    PAGE_DURATION.observe(seconds)


def render() -> bytes:
    """All metrics as text, of both halves where they share a folder."""
    is_shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
    return generate_latest(_BothProcesses() if is_shared else REGISTRY)


class _BothProcesses(Collector):
    def collect(self) -> Iterable[Metric]:
        collected: Iterable[Metric] = MultiProcessCollector(None).collect()
        return collected
