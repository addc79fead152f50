"""Read the metrics that a service exposes."""

import httpx
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

Series = dict[str, float]


def series(text: str) -> Series:
    """Return values by name and sorted labels, as in `name{label=value,…}`."""
    return {
        _key(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(url: str) -> Series:
    """Return what a service exposes at this URL now."""
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(url)
    assert response.status_code == 200
    return series(response.text)


class Growth:
    """Measure how much the counters of a registry of this process grow."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._before = self._now()

    def grown(self) -> Series:
        """Return the growth of each counter that grew; of histograms, only of the counts."""
        return {
            key: value - self._before.get(key, 0)
            for key, value in self._now().items()
            if value != self._before.get(key, 0)
        }

    def _now(self) -> Series:
        return {
            _key(sample.name, sample.labels): sample.value
            for metric in self._registry.collect()
            if metric.type != "gauge"
            for sample in metric.samples
            if sample.name.endswith(("_total", "_count"))
        }


def _key(name: str, labels: dict[str, str]) -> str:
    inner = ",".join(f"{label}={value}" for label, value in sorted(labels.items()))
    return f"{name}{{{inner}}}" if inner else name
