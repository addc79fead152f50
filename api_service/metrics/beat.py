"""Count the tasks that beat publishes."""

from prometheus_client import CollectorRegistry, Counter, Gauge

REGISTRY = CollectorRegistry()

PUBLISHED = Counter(
    "page_parser_beat_published_total",
    "Tasks that beat published, by name.",
    ["task"],
    registry=REGISTRY,
)
LAST_PUBLISHED_TIMESTAMP_SECONDS = Gauge(
    "page_parser_beat_last_published_timestamp_seconds",
    "When beat last published a task, in seconds since 1970.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)


def count_published_task(task: str) -> None:
    """Count one published task."""
    PUBLISHED.labels(task).inc()
    LAST_PUBLISHED_TIMESTAMP_SECONDS.set_to_current_time()
