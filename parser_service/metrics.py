"""Define the metrics of a parser. `docs/monitoring.md` lists them all.

The HTTP side and the listener keep their numbers in files of one folder, which the start script
names in PROMETHEUS_MULTIPROC_DIR; the HTTP side exposes those of both. A process without the
folder exposes its own. Prometheus's library reads the variable itself. No label takes values
from outside.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

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

# The library maps files of this folder as soon as a metric is defined.
if not Path(_folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR", ".")).is_dir():
    sys.exit(f"PROMETHEUS_MULTIPROC_DIR: there is no folder {_folder}; make it or unset it.")

disable_created_metrics()  # they would double the number of series, and no dashboard reads them

PAGES = Counter(
    "page_parser_pages_total",
    "Requested pages by outcome: success, or the code of the reason.",
    ["outcome"],
    registry=REGISTRY,
)
PAGE_DURATION = Histogram(
    "page_parser_page_duration_seconds",
    "Time from look-up until a page was parsed or failed.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
    registry=REGISTRY,
)
PAGE_BYTES_TOTAL = Counter(
    "page_parser_page_bytes_total",
    "Size of the pages that were fetched and parsed, content encoding decoded.",
    registry=REGISTRY,
)
PAGES_IN_FLIGHT = Gauge(
    "page_parser_pages_under_way",
    "Pages being fetched or parsed, and requests of /fetch that wait for a host.",
    registry=REGISTRY,
    multiprocess_mode="sum",
)
CHILD_PARSES = Counter(
    "page_parser_child_parses_total",
    "Pages that went to a child process, by outcome: parsed, or failed.",
    ["outcome"],
    registry=REGISTRY,
)
JOBS_TAKEN = Counter(
    "page_parser_jobs_taken_total",
    "Messages taken from the lists of jobs.",
    registry=REGISTRY,
)
JOBS_INVALID = Counter(
    "page_parser_jobs_refused_total",
    "Messages taken that were not jobs and were dropped.",
    registry=REGISTRY,
)
JOBS_HANDED_BACK = Counter(
    "page_parser_jobs_handed_back_total",
    "Jobs put back: at a stop, or because they must run alone while others ran.",
    registry=REGISTRY,
)
HOST_WAITS = Counter(
    "page_parser_host_waits_total",
    "Times that a job or a request of /fetch had to wait for a busy host.",
    ["entrance"],
    registry=REGISTRY,
)
BACKPRESSURE_SECONDS = Counter(
    "page_parser_throttled_seconds_total",
    "Time without taking jobs because too many results waited to be persisted.",
    registry=REGISTRY,
)


def _codes_of(error_class: type[FetchError]) -> Iterator[str]:
    yield error_class.code
    for narrower in error_class.__subclasses__():
        yield from _codes_of(narrower)


# Create every series at the start: a rate needs the zero before the first one.
_success = PAGES.labels("success")
_failures_by_code = {code: PAGES.labels(code) for code in sorted({*_codes_of(FetchError)})}
CHILD_PARSED, CHILD_FAILED = CHILD_PARSES.labels("parsed"), CHILD_PARSES.labels("failed")
JOB_WAITS, REQUEST_WAITS = HOST_WAITS.labels("job"), HOST_WAITS.labels("request")


def count_success(*, seconds: float, size: int) -> None:
    """Count a page that was fetched and parsed."""
    _success.inc()
    PAGE_BYTES_TOTAL.inc(size)
    PAGE_DURATION.observe(seconds)


def count_failure(code: str, *, seconds: float) -> None:
    """Count a page that could not be fetched or parsed."""
    _failures_by_code[code].inc()
    PAGE_DURATION.observe(seconds)


def render() -> bytes:
    """Return all metrics as text, those of both processes if they share a folder."""
    is_shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
    return generate_latest(_BothProcesses() if is_shared else REGISTRY)


class _BothProcesses(Collector):
    def collect(self) -> Iterable[Metric]:
        collected: Iterable[Metric] = MultiProcessCollector(None).collect()
        return collected
