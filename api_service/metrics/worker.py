"""What a worker's two processes count. A gauge would have to be one of them's alone.

Numbers are counted after the commit. Where a process dies in between, they are a little low.
"""

from time import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

REGISTRY = CollectorRegistry()

CODES = frozenset(
    {
        "invalid_url",
        "blocked_address",
        "dns_error",
        "connect_error",
        "tls_error",
        "timeout",
        "too_large",
        "too_many_redirects",
        "http_status",
        "unsupported_content_type",
        "bad_encoding",
        "robots_disallowed",
        "malformed_response",
        "internal_error",
        "attempts_exhausted",
    }
)
"""The codes that are counted by name. A foreign parser may send others."""
OTHER = "other"

ENDED = Counter(
    "page_parser_requests_ended_total",
    "Requests that ended, by their final status.",
    ["status"],
    registry=REGISTRY,
)
FAILED = Counter(
    "page_parser_requests_failed_total",
    "Requests that ended as failure, by the code of the reason.",
    ["code"],
    registry=REGISTRY,
)
ATTEMPTS_FAILED = Counter(
    "page_parser_attempts_failed_total",
    "Attempts that failed, by what follows: another attempt (retry), or none.",
    ["next"],
    registry=REGISTRY,
)
ACCEPTED_TO_ENDED = Histogram(
    "page_parser_accepted_to_ended_seconds",
    "Time from a request's acceptance to its end, pauses between attempts included.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
    registry=REGISTRY,
)
PUSHED = Counter(
    "page_parser_jobs_pushed_total",
    "Jobs that were handed to the parsers, those of later attempts included.",
    registry=REGISTRY,
)
BATCHES = Counter(
    "page_parser_result_batches_total",
    "Batches of results that were persisted.",
    registry=REGISTRY,
)
RESULTS = Counter(
    "page_parser_results_total",
    "Results that were persisted, late and doubled ones included, which change nothing.",
    registry=REGISTRY,
)
DELETED = Counter(
    "page_parser_requests_deleted_total",
    "Requests that were deleted because they were older than the retention.",
    registry=REGISTRY,
)
SWEPT = Counter(
    "page_parser_swept_total",
    "Requests, or for reclaimed their announcements, that the sweep moved on, by what it did.",
    ["action"],
    registry=REGISTRY,
)
SWEEP_DURATION = Summary(
    "page_parser_sweep_duration_seconds",
    "Time that sweeps took; their count is the number of sweeps that came to their end.",
    registry=REGISTRY,
)
SWEEP_LAST = Gauge(
    "page_parser_sweep_last_timestamp_seconds",
    "When this worker last came to the end of a sweep, in seconds since 1970.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)

# All series are there from the start: a rate needs to have seen the zero before the one.
_ended = {status: ENDED.labels(status) for status in ("success", "failure")}
_failed = {code: FAILED.labels(code) for code in (*sorted(CODES), OTHER)}
_retried, _given_up = ATTEMPTS_FAILED.labels("retry"), ATTEMPTS_FAILED.labels("none")
_swept = {
    action: SWEPT.labels(action)
    for action in ("due", "stranded", "died", "exhausted", "reclaimed", "announced", "lost")
}


def request_succeeded(*, age: float) -> None:
    """Count a request that ended as `success`, so many seconds after it was accepted."""
    _ended["success"].inc()
    ACCEPTED_TO_ENDED.observe(age)


def request_failed(code: str, *, age: float) -> None:
    """Count a request that ended as `failure`, and with it its last attempt."""
    _ended["failure"].inc()
    _failed[code if code in CODES else OTHER].inc()
    _given_up.inc()
    ACCEPTED_TO_ENDED.observe(age)


def attempts_retried(number: int) -> None:
    """Count attempts that failed and are followed by another."""
    _retried.inc(number)


def results_persisted(number: int) -> None:
    """Count one batch of so many results."""
    BATCHES.inc()
    RESULTS.inc(number)


def count_swept(action: str, number: int) -> None:
    """Count what a sweep has just done."""
    if number:
        _swept[action].inc(number)


def sweep_ended(seconds: float) -> None:
    """Count a sweep that took so long."""
    SWEEP_DURATION.observe(seconds)
    SWEEP_LAST.set(time())
