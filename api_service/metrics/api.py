"""Count what the API does; the gauges that it reads when scraped are in `operation/`."""

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()

UNMATCHED_ROUTE = "unmatched"
"""The route label of paths that match no route."""
OTHER_METHOD = "other"
"""The method label of all but the usual methods; a client may send any."""

_COUNTED_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

HTTP_REQUESTS = Counter(
    "page_parser_http_requests_total",
    "HTTP requests that were answered.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
HTTP_DURATION = Histogram(
    "page_parser_http_request_duration_seconds",
    "Time from an HTTP request to its answer, including waits that the client asked for.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
TASKS_UNPUBLISHED = Counter(
    "page_parser_tasks_unpublished_total",
    "Accepted requests whose task was not published in time; the sweep finds them.",
    registry=REGISTRY,
)

_children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


def count_http_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count one answered HTTP request.

    Args:
        method: as the client sent it.
        route: its template, such as `/status/{request_id}`; None if no route matched.
        status: of the answer.
        seconds: from request to answer.
    """
    key = (method if method in _COUNTED_METHODS else OTHER_METHOD, route or UNMATCHED_ROUTE, status)
    children = _children.get(key)
    if children is None:
        # Looked up once, because finding labels costs more than counting.
        children = (HTTP_REQUESTS.labels(*key), HTTP_DURATION.labels(*key[:2]))
        _children[key] = children
    children[0].inc()
    children[1].observe(seconds)
