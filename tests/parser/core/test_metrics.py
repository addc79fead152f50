"""What a parser tells Prometheus: its numbers are those of what was done."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import redis.asyncio as aioredis

from parser_service import metrics
from parser_service.config import Settings
from tests.support.app_client import OpenApp
from tests.support.keys import DONE_BYTES, QUEUE, result_key
from tests.support.listening import listening
from tests.support.metrics import Growth, series
from tests.support.site import Site
from tests.support.waiting import until

# Long, and without a tag in it: only a child process may parse such a page.
STRANGE = "<title>A</title><script>" + "x" * 300_000 + "</script>"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


def _under_way() -> float:
    return metrics.REGISTRY.get_sample_value("page_parser_pages_under_way") or 0


async def test_pages_are_counted_by_outcome(client: httpx.AsyncClient, site: Site) -> None:
    counted = Growth(metrics.REGISTRY)
    for path in ("/one", "/two"):
        site.page(path, "<title>A</title>")
    page = site.respond("/image", 200, b"x", {"Content-Type": "image/png"})
    for url in (site.url("/one"), site.url("/two"), site.url("/missing"), page, "http://10.0.0.1/"):
        await client.get("/fetch", params={"url": url})
    assert counted.grown() == {
        "page_parser_pages_total{outcome=success}": 2,
        "page_parser_pages_total{outcome=http_status}": 1,
        "page_parser_pages_total{outcome=unsupported_content_type}": 1,
        "page_parser_pages_total{outcome=blocked_address}": 1,
        "page_parser_page_duration_seconds_count": 5,
        "page_parser_page_bytes_total": 2 * len("<title>A</title>"),
    }
    assert _under_way() == 0


async def test_pages_under_way_are_shown_while_they_are(
    client: httpx.AsyncClient, site: Site
) -> None:
    url = site.raw("/slow", b"", delay=30)
    fetching = [asyncio.create_task(client.get("/fetch", params={"url": url})) for _ in range(3)]
    await until(lambda: site.count("/slow") == 3, seconds=60)
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert series(response.text)["page_parser_pages_under_way"] == 3
    for task in fetching:
        task.cancel()
    await asyncio.gather(*fetching, return_exceptions=True)
    await until(lambda: _under_way() == 0, seconds=60)


async def test_pages_that_a_child_parses_are_counted(client: httpx.AsyncClient, site: Site) -> None:
    url = site.page("/strange", STRANGE)
    counted = Growth(metrics.REGISTRY)
    assert (await client.get("/fetch", params={"url": url})).status_code == 200
    assert counted.grown()["page_parser_child_parses_total{outcome=parsed}"] == 1


async def test_jobs_are_counted_from_taken_to_handed_back(
    settings: Settings, redis: aioredis.Redis, site: Site
) -> None:
    slow = site.raw("/slow", b"", delay=30)
    quick = site.page("/quick", "<title>A</title>")
    counted = Growth(metrics.REGISTRY)
    async with listening(settings.model_copy(update={"shutdown_grace": 0.1})):
        jobs = [{"id": n, "url": slow if n < 2 else quick} for n in range(5)]
        await redis.rpush(QUEUE, "nonsense", *map(json.dumps, jobs))
        await until(lambda: redis.exists(*(result_key(n) for n in (2, 3, 4))), seconds=60)
        await until(lambda: site.count("/slow") == 2, seconds=60)
        await until(lambda: _results(redis, 3), seconds=60)
    grown = counted.grown()
    assert grown["page_parser_jobs_taken_total"] == 6
    assert grown["page_parser_jobs_refused_total"] == 1
    assert grown["page_parser_jobs_handed_back_total"] == 2
    assert grown["page_parser_pages_total{outcome=success}"] == 3
    assert _under_way() == 0


async def _results(redis: aioredis.Redis, number: int) -> bool:
    return len(await redis.keys(result_key("*"))) == number


async def test_time_without_taking_jobs_is_counted(
    settings: Settings, redis: aioredis.Redis
) -> None:
    await redis.set(DONE_BYTES, 1_000_000)
    counted = Growth(metrics.REGISTRY)
    async with listening(settings.model_copy(update={"max_result_bytes": 1000})):
        await until(
            lambda: counted.grown().get("page_parser_throttled_seconds_total", 0) > 0.3, seconds=60
        )
    assert counted.grown().keys() == {"page_parser_throttled_seconds_total"}


async def test_waits_for_hosts_are_counted_by_entrance(
    settings: Settings, open_parser: OpenApp, redis: aioredis.Redis, site: Site
) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>A</title>"
    url = site.raw("/slow", page, delay=1)
    one = {"host_max_concurrent": 1}
    counted = Growth(metrics.REGISTRY)
    async with open_parser(**one) as client, listening(settings.model_copy(update=one)):
        first = asyncio.create_task(client.get("/fetch", params={"url": url}))
        await until(lambda: site.count("/slow") == 1, seconds=60)
        second = asyncio.create_task(client.get("/fetch", params={"url": url}))
        await redis.rpush(QUEUE, json.dumps({"id": 1, "url": url}))
        await until(lambda: redis.exists(result_key(1)), seconds=60)
        await asyncio.gather(first, second)
    grown = counted.grown()
    assert grown["page_parser_host_waits_total{entrance=job}"] == 1
    assert grown["page_parser_host_waits_total{entrance=request}"] == 1
    assert grown["page_parser_pages_total{outcome=success}"] == 3
