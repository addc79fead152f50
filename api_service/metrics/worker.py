"""Count what a worker's two processes do.

They share these metrics, so a gauge needs a `multiprocess_mode`. Events are counted after the
commit: if a process dies in between, the numbers are a little low.
"""

from time import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from api_service.exceptions import PAGE_ERROR_CODES

REGISTRY = CollectorRegistry()

COUNTED_CODES = PAGE_ERROR_CODES | {"attempts_exhausted", "expired", "account_deleted"}
"""Codes that are counted by name."""
OTHER_CODE = "other"
"""The label of all other codes; a foreign parser may send any."""

REQUESTS_ENDED = Counter(
    "page_parser_requests_ended_total",
    "Requests that ended, by their final status.",
    ["status"],
    registry=REGISTRY,
)
REQUESTS_FAILED = Counter(
    "page_parser_requests_failed_total",
    "Requests that ended as failure, by the code of the reason.",
    ["code"],
    registry=REGISTRY,
)
ATTEMPTS_FAILED = Counter(
    "page_parser_attempts_failed_total",
    "Attempts that failed, by what follows: another attempt (retry) or none.",
    ["next"],
    registry=REGISTRY,
)
ACCEPTED_TO_ENDED = Histogram(
    "page_parser_accepted_to_ended_seconds",
    "Time from a request's acceptance to its end, including pauses between attempts.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
    registry=REGISTRY,
)
JOBS_PUSHED = Counter(
    "page_parser_jobs_pushed_total",
    "Jobs that were pushed to the parsers, including those of later attempts.",
    registry=REGISTRY,
)
RESULT_BATCHES = Counter(
    "page_parser_result_batches_total",
    "Batches of results that were persisted.",
    registry=REGISTRY,
)
RESULTS_PROCESSED = Counter(
    "page_parser_results_total",
    "Results that were processed, including late and doubled ones, which change nothing.",
    registry=REGISTRY,
)
REQUESTS_DELETED = Counter(
    "page_parser_requests_deleted_total",
    "Requests that were deleted because their retention was over.",
    registry=REGISTRY,
)
SWEPT = Counter(
    "page_parser_swept_total",
    "Requests (for reclaimed: announcements) that the sweep moved on, by what it did.",
    ["action"],
    registry=REGISTRY,
)
SWEEP_DURATION = Summary(
    "page_parser_sweep_duration_seconds",
    "Time that sweeps took; the count is the number of completed sweeps.",
    registry=REGISTRY,
)
LAST_SWEEP_TIMESTAMP_SECONDS = Gauge(
    "page_parser_sweep_last_timestamp_seconds",
    "When this worker last completed a sweep, in seconds since 1970.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)

# Create all series at the start: a rate needs to see the zero before the one.
_ended = {status: REQUESTS_ENDED.labels(status) for status in ("success", "failure")}
_failed = {code: REQUESTS_FAILED.labels(code) for code in (*sorted(COUNTED_CODES), OTHER_CODE)}
_retried, _given_up = ATTEMPTS_FAILED.labels("retry"), ATTEMPTS_FAILED.labels("none")
_swept = {
    action: SWEPT.labels(action)
    for action in ("due", "stranded", "died", "exhausted", "reclaimed", "announced", "lost")
}


def count_succeeded_request(*, age: float) -> None:
    """Count a request that ended as `success`, `age` seconds after it was accepted."""
    _ended["success"].inc()
    ACCEPTED_TO_ENDED.observe(age)


def count_failed_request(code: str, *, age: float) -> None:
    """Count a request that ended as `failure`, and its last attempt."""
    _ended["failure"].inc()
    _failed[code if code in COUNTED_CODES else OTHER_CODE].inc()
    _given_up.inc()
    ACCEPTED_TO_ENDED.observe(age)


def count_request_failed_without_attempt(code: str, *, age: float) -> None:
    """Count a request that ended as `failure` for a reason of ours, without an attempt."""
    _ended["failure"].inc()
    _failed[code].inc()
    ACCEPTED_TO_ENDED.observe(age)


def count_retried_attempts(number: int) -> None:
    """Count failed attempts that another attempt follows."""
    _retried.inc(number)


def count_persisted_batch(number: int) -> None:
    """Count one batch of `number` results."""
    RESULT_BATCHES.inc()
    RESULTS_PROCESSED.inc(number)


def count_swept(action: str, number: int) -> None:
    """Count `number` requests or announcements that a sweep has just moved on."""
    if number:
        _swept[action].inc(number)


def count_sweep(seconds: float) -> None:
    """Count a completed sweep and how long it took."""
    SWEEP_DURATION.observe(seconds)
    LAST_SWEEP_TIMESTAMP_SECONDS.set(time())
