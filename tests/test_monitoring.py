"""docs/monitoring.md and monitoring/alerts.yml name exactly the metrics that exist."""

import re

import yaml
from prometheus_client import CollectorRegistry

from api_service.metrics import api, beat, worker
from api_service.operation.gauge_metrics import GaugeSnapshot, RedisSnapshot
from api_service.parser_client.census import QueueDepths
from api_service.queueing.repository import StateSummary
from parser_service import metrics as parser
from tests.support.system import ROOT

DOC = (ROOT / "docs" / "monitoring.md").read_text()
ALERTS = (ROOT / "monitoring" / "alerts.yml").read_text()
Facts = tuple[str, frozenset[str], str]


def _documented() -> dict[str, Facts]:
    rows = re.findall(r"^\| `(page_parser_\w+)` \|([^|]*)\|([^|]*)\|([^|]*)\|", DOC, re.MULTILINE)
    return {
        name: (kind.strip(), frozenset(re.findall(r"`(\w+)`", labels)), service.strip())
        for name, kind, labels, service in rows
    }


def _of_registry(registry: CollectorRegistry, service: str) -> dict[str, Facts]:
    found = {}
    for collector in registry._collector_to_names:
        (metric,) = collector.collect()
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        found[name] = (metric.type, frozenset(collector._labelnames), service)  # type: ignore[attr-defined]
    return found


def _in_the_code() -> dict[str, Facts]:
    reading = GaugeSnapshot(
        unfinished={"pending": StateSummary()},
        redis=RedisSnapshot(QueueDepths(0, 0, 0, 0, 0, 0), 0, 0, {"api": 0}),
        limit=1,
    )
    gauges: dict[str, Facts] = {
        metric.name: (metric.type, frozenset(metric.samples[0].labels), "api")
        for metric in reading.collect()
    }
    return (
        gauges
        | _of_registry(api.REGISTRY, "api")
        | _of_registry(worker.REGISTRY, "worker")
        | _of_registry(beat.REGISTRY, "beat")
        | _of_registry(parser.REGISTRY, "parser")
    )


def _series() -> set[str]:
    """Return the names of all series."""
    endings = {
        "histogram": ("_bucket", "_sum", "_count"),
        "summary": ("_sum", "_count"),
    }
    return {
        name + ending
        for name, (kind, _, _) in _in_the_code().items()
        for ending in endings.get(kind, ("",))
    }


def test_the_table_has_every_metric_and_no_other() -> None:
    assert _documented() == _in_the_code()


def test_alerts_and_examples_use_metrics_that_there_are() -> None:
    rules = [rule for group in yaml.safe_load(ALERTS)["groups"] for rule in group["rules"]]
    used = set(re.findall(r"page_parser_\w+", " ".join(rule["expr"] for rule in rules)))
    assert used - _series() == set()
    assert set(re.findall(r"page_parser_\w+", DOC)) - _series() - _in_the_code().keys() == set()


def test_every_alert_says_what_to_do() -> None:
    for group in yaml.safe_load(ALERTS)["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
            assert rule["annotations"]["summary"].endswith("."), rule["alert"]
            assert rule["annotations"]["action"].endswith("."), rule["alert"]


def test_the_labels_that_alerts_look_for_are_those_of_the_metrics() -> None:
    facts = _in_the_code()
    for name, inner in re.findall(r"(page_parser_\w+)\{([^}]*)\}", ALERTS):
        labels = set(re.findall(r"(\w+)=", inner))
        assert labels <= facts[name][1], (name, labels)
