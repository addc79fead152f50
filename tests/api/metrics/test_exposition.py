"""How a registry is exposed."""

import socket

import httpx
from prometheus_client import CollectorRegistry, Counter

from api_service.metrics.exposition import render, serve


def _registry(name: str) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter(name, "One.", registry=registry).inc()
    return registry


def test_other_collectors_come_after_the_registry() -> None:
    text = render(_registry("first"), _registry("second")).decode()
    assert text.index("first_total 1.0") < text.index("second_total 1.0")
    assert "_created" not in text


def test_a_registry_is_served_on_a_port(unused_tcp_port: int) -> None:
    serve(_registry("served"), host="127.0.0.1", port=unused_tcp_port)
    answer = httpx.get(f"http://127.0.0.1:{unused_tcp_port}/metrics", trust_env=False)
    assert "served_total 1.0" in answer.text


def test_a_port_that_is_taken_stops_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        serve(_registry("unserved"), host="127.0.0.1", port=taken.getsockname()[1])


def test_port_0_serves_nothing() -> None:
    serve(_registry("nowhere"), host="no such host", port=0)
