"""Expose a registry: as text, or on a port of its own.

The two halves of a worker keep their numbers in files of one folder, which the start script
names in PROMETHEUS_MULTIPROC_DIR; either half then answers for both. Without the folder a
process answers for itself alone. The folder cannot be a setting: prometheus_client reads the
variable itself, when it is imported, so it must be set before the process starts.
"""

import os
from collections.abc import Iterable

import structlog
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Metric,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

log = structlog.get_logger()

disable_created_metrics()  # it would double the series, and no alert or chart uses it


def render(registry: CollectorRegistry, *more: Collector) -> bytes:
    """Render a registry's metrics as text, followed by those of other collectors."""
    return b"".join(generate_latest(collector) for collector in (_merge_processes(registry), *more))


def serve(registry: CollectorRegistry, *, host: str, port: int) -> None:
    """Serve a registry on a port, from a thread; port 0 serves nothing.

    A port that is taken does not stop the process from working: monitoring notices that the
    metrics are missing.
    """
    if not port:
        return
    try:
        start_http_server(port, host, registry=_merge_processes(registry))
    except OSError as error:
        log.error("metrics not shown", host=host, port=port, error=error.strerror)


def _merge_processes(registry: CollectorRegistry) -> CollectorRegistry:
    """Return the registry, or the sum of both halves if they share a folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # as the library itself decides
        return registry
    both = CollectorRegistry()
    both.register(_MultiProcessMetrics(registry))
    return both


class _MultiProcessMetrics(Collector):
    """Collect what both halves have written of one registry's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._names = {metric.name for metric in registry.collect()}

    def collect(self) -> Iterable[Metric]:
        collector = MultiProcessCollector(None)
        return (metric for metric in collector.collect() if metric.name in self._names)
