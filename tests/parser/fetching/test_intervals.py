"""`HOST_MIN_INTERVAL` keeps all requests to a host apart, whatever they are for."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from time import monotonic

import pytest
import redis.asyncio as aioredis

from parser_service.config import Settings
from parser_service.redis_queue.host_limits import HostLimits
from parser_service.redis_queue.keys import Keys
from tests.support.app_client import OpenApp
from tests.support.keys import QUEUE, result_key
from tests.support.listening import listening
from tests.support.site import Site
from tests.support.waiting import until

INTERVAL = 0.4
SLACK = 0.1
"""A request may begin so much late on a busy machine, and the next one in time."""
RULES = b"User-agent: *\nAllow: /\n"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def settings(settings: Settings) -> Settings:
    polite = {"host_min_interval": INTERVAL, "respect_robots": True, "fetch_timeout": 20}
    return settings.model_copy(update=polite)


@pytest.fixture
def moments(site: Site) -> list[float]:
    """Serve a page behind a redirect, rules behind a redirect; return when requests came."""
    came: list[float] = []

    def serve(path: str, status: int, headers: str, body: bytes = b"") -> None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.append(monotonic())
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n\r\n"
            writer.write(head.encode() + body)

        site.answer(path, answer)

    serve("/robots.txt", 302, "Location: /rules")
    serve("/rules", 200, "Content-Type: text/plain", RULES)
    serve("/", 302, "Location: /page")
    serve("/page", 200, "Content-Type: text/html", b"<title>A</title>")
    return came


def _gaps(moments: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(moments)]


async def test_a_synchronous_page_its_rules_and_redirects_keep_their_distance(
    open_parser: OpenApp, settings: Settings, site: Site, moments: list[float]
) -> None:
    polite = {"host_min_interval": INTERVAL, "respect_robots": True, "fetch_queue_timeout": 20}
    # The listener, the other half of a parser, hands out slots that fall due.
    async with listening(settings), open_parser(**polite) as client:
        calls = [client.get("/fetch", params={"url": site.url("/")}) for _ in range(2)]
        answers = await asyncio.gather(*calls)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(moments) == 6
    assert min(_gaps(moments)) > INTERVAL - SLACK


async def test_jobs_their_rules_and_redirects_keep_their_distance(
    redis: aioredis.Redis, settings: Settings, site: Site, moments: list[float]
) -> None:
    for n in range(3):
        await redis.rpush(QUEUE, json.dumps({"id": n, "url": site.url("/")}))

    async def ended() -> bool:
        return await redis.exists(*(result_key(n) for n in range(3))) == 3

    async with listening(settings), listening(settings, name="other"):
        await until(ended, seconds=25)
    titles = [json.loads(await redis.get(result_key(n)) or "")["title"] for n in range(3)]
    assert titles == ["A"] * 3
    assert min(_gaps(moments)) > INTERVAL - SLACK


async def test_an_interval_beyond_a_second_is_waited_for_in_the_line(
    redis: aioredis.Redis, settings: Settings, site: Site, moments: list[float]
) -> None:
    await redis.rpush(QUEUE, json.dumps({"id": 1, "url": site.url("/page")}))
    long = settings.model_copy(update={"host_min_interval": 1.5, "fetch_timeout": 9})
    site.respond("/robots.txt", 200, RULES, {})
    async with listening(long):
        await until(lambda: redis.exists(result_key(1)), seconds=15)
    assert json.loads(await redis.get(result_key(1)) or "")["title"] == "A"
    assert site.count("/robots.txt") == 1
    assert site.count("/page") == 1


async def test_slots_that_were_given_in_time_and_used_late_keep_the_distance(
    redis: aioredis.Redis,
) -> None:
    limits = HostLimits(
        redis, keys=Keys.of(Settings()), max_concurrent=8, min_interval=0.3, lease=10
    )
    pauses = [await limits.reserve_request_time("a", max_wait=1) for _ in range(5)]
    assert pauses[0] == 0
    assert all(pause is not None for pause in pauses[:4])
    assert all(abs((pause or 0) - 0.3 * n) < 0.1 for n, pause in enumerate(pauses[:4]))
    assert pauses[4] is None, "more than a second: nothing is reserved"
    assert await limits.acquire_or_park("a", b"{}") is None, "no slot before its moment"


async def test_a_line_of_jobs_is_served_at_the_pace_that_the_interval_sets(
    redis: aioredis.Redis, settings: Settings, site: Site
) -> None:
    quick = settings.model_copy(update={"host_min_interval": 0.1, "respect_robots": False})
    url = site.page("/alone", "<title>A</title>")
    for n in range(20):
        await redis.rpush(QUEUE, json.dumps({"id": f"line-{n}", "url": url}))

    async def ended() -> bool:
        return len(await redis.keys(result_key("line-*"))) == 20

    started = monotonic()
    async with listening(quick):
        await until(ended, seconds=20)
    assert monotonic() - started < 2 * 20 * 0.1, "twenty jobs are two seconds apart"
