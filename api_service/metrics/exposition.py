"""How a registry is shown: as text, or on a port of its own.

The two halves of a worker keep their numbers in files of one folder, which the start script
names in PROMETHEUS_MULTIPROC_DIR; whichever is asked then answers for both. Without the folder
a process answers for itself.
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

disable_created_metrics()  # a second series beside each, which nobody reads


def render(registry: CollectorRegistry, *more: Collector) -> bytes:
    """A registry's metrics as text, and those of other collectors after them."""
    return b"".join(generate_latest(collector) for collector in (_with_sibling(registry), *more))


def serve(registry: CollectorRegistry, *, host: str, port: int) -> None:
    """Show a registry on a port, from a thread; port 0 is none.

    A port that cannot be had keeps no service from its work: it is seen from outside by its
    metrics not being there.
    """
    if not port:
        return
    try:
        start_http_server(port, host, registry=_with_sibling(registry))
    except OSError as error:
        log.error("metrics not shown", host=host, port=port, error=error.strerror)


def _with_sibling(registry: CollectorRegistry) -> CollectorRegistry:
    """The registry, or where two processes share a folder, the sum of both."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return registry
    both = CollectorRegistry()
    both.register(_WithSibling(registry))
    return both


class _WithSibling(Collector):
    """What both have written of a registry's metrics, and of no other's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._names = {metric.name for metric in registry.collect()}

    def collect(self) -> Iterable[Metric]:
        collector = MultiProcessCollector(None)
        return (metric for metric in collector.collect() if metric.name in self._names)
