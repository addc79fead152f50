"""Politeness over all parsers, on a real Redis."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from time import perf_counter
from typing import Any

import pytest
import redis.asyncio as aioredis

from parser_service.config import Settings
from parser_service.fetching.url_guard import parse_url
from parser_service.jobs.listener import Listener
from parser_service.jobs.parked import ReadyJob
from parser_service.redis_queue.host_limits import MAX_HANDED_OUT_PER_HOST, HostLimits
from parser_service.redis_queue.keys import Keys
from tests.support.app_client import OpenApp
from tests.support.keys import QUEUE, result_key, waiting_key
from tests.support.listening import listening
from tests.support.site import Site
from tests.support.time_travel import older_keys
from tests.support.waiting import until

KEYS = Keys.of(Settings())
READY = KEYS.ready_jobs


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


def _limits(redis: aioredis.Redis, **changes: Any) -> HostLimits:
    chosen: dict[str, Any] = {"max_concurrent": 2, "min_interval": 0, "lease": 60} | changes
    return HostLimits(redis, keys=KEYS, **chosen)


async def _ready(redis: aioredis.Redis) -> list[ReadyJob]:
    messages = await redis.lrange(READY, 0, -1)
    return [ReadyJob.decode(raw) for raw in messages if isinstance(raw, bytes)]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example/x", "a.example"),
        ("https://A.example:443/", "a.example"),
        ("http://a.example:8080/", "a.example:8080"),
        ("http://[2606:4700::1111]/", "2606:4700::1111"),
    ],
)
def test_what_counts_as_one_host(url: str, host: str) -> None:
    assert parse_url(url).host_key == host


async def test_a_job_over_the_limit_waits_and_is_handed_the_next_slot(
    redis: aioredis.Redis,
) -> None:
    limits = _limits(redis)
    slots = [await limits.acquire_or_park("a", b"{}") for _ in range(2)]
    assert all(slots)
    assert await limits.acquire_or_park("a", b"first") is None
    assert await limits.acquire_or_park("a", b"second") is None
    assert await limits.acquire_or_park("b", b"{}") is not None
    assert await redis.llen(READY) == 0

    assert slots[0]
    await limits.release(slots[0])
    (ready,) = await _ready(redis)
    assert (ready.parked, ready.slot.host) == (b"first", "a")
    assert await limits.acquire_or_park("a", b"third") is None, "the slot was handed on"
    await limits.release(ready.slot)
    assert [job.parked for job in await _ready(redis)] == [b"first", b"second"]


async def test_a_freed_slot_does_not_let_newcomers_pass_the_line(redis: aioredis.Redis) -> None:
    limits = _limits(redis, max_concurrent=1)
    slot = await limits.acquire_or_park("a", b"{}")
    await limits.acquire_or_park("a", b"waiting")
    assert slot
    await limits.release(slot)
    assert await limits.acquire_or_park("a", b"newcomer") is None


async def test_the_slots_of_a_dead_parser_come_back(redis: aioredis.Redis) -> None:
    limits = _limits(redis, max_concurrent=1, lease=1.5)
    assert await limits.acquire_or_park("a", b"{}")
    assert await limits.acquire_or_park("a", b"waiting") is None
    await limits.hand_out_due_slots()
    assert await redis.llen(READY) == 0
    await older_keys(redis, 2)
    await limits.hand_out_due_slots()
    assert await redis.llen(READY) == 1


async def test_slots_are_given_for_the_moments_of_the_next_second(redis: aioredis.Redis) -> None:
    limits = _limits(redis, max_concurrent=50, min_interval=0.25)
    for _ in range(5):
        assert await limits.acquire_or_park("a", b"{}")
    assert await limits.acquire_or_park("a", b"parked") is None
    pauses = [await limits.reserve_request_time("a", max_wait=2) for _ in range(5)]
    gaps = [later - earlier for earlier, later in pairwise(filter(None, pauses))]
    assert all(0.2 < gap < 0.26 for gap in gaps), gaps
    started = perf_counter()
    while not await redis.lpop(READY):
        await limits.hand_out_due_slots()
        await asyncio.sleep(0.01)
    assert 0.15 < perf_counter() - started < 0.6


async def test_a_client_that_waits_comes_before_the_jobs(redis: aioredis.Redis) -> None:
    limits = _limits(redis, max_concurrent=1)
    slot = await limits.acquire_or_park("a", b"{}")
    await limits.acquire_or_park("a", b"job")
    ticket, is_ours = await limits.acquire_or_get_ticket("a")
    assert not is_ours
    assert not await limits.claim_ticketed_slot(ticket)
    assert slot
    await limits.release(slot)
    assert await limits.claim_ticketed_slot(ticket)
    assert await redis.llen(READY) == 0
    await limits.release(ticket)
    assert await redis.llen(READY) == 1


async def test_a_ticket_that_is_given_back_frees_its_place(redis: aioredis.Redis) -> None:
    limits = _limits(redis, max_concurrent=1)
    slot = await limits.acquire_or_park("a", b"{}")
    ticket, _ = await limits.acquire_or_get_ticket("a")
    await limits.cancel_ticket(ticket)
    assert slot
    await limits.release(slot)
    assert await limits.acquire_or_park("a", b"{}")


async def test_a_request_that_ends_while_it_joins_the_line_leaves_no_ticket(
    redis: aioredis.Redis,
) -> None:
    limits = _limits(redis, max_concurrent=1)
    assert await limits.acquire_or_park("a", b"{}")
    for turns in range(60):
        joining = asyncio.create_task(limits.acquire_or_get_ticket("a"))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not joining.done():
            joining.cancel()
        try:
            slot, _ = await joining
            await limits.cancel_ticket(slot)
        except asyncio.CancelledError:
            pass

    async def is_empty() -> bool:
        return not await redis.exists(KEYS.host_tickets("a"))

    await asyncio.sleep(0.1)
    await until(is_empty, seconds=2)


async def test_a_line_of_jobs_without_a_place_is_not_handed_over_all_at_once(
    redis: aioredis.Redis,
) -> None:
    limits = _limits(redis, max_concurrent=0)
    slot = await limits.acquire_or_park("a", b"{}")
    for n in range(100):
        await limits.park("a", b"%d" % n, slot=None, token=None)
    assert await _ready(redis) == [], "the parser would put it aside again"
    assert slot
    await limits.release(slot, hand_over=1)
    assert [job.parked for job in await _ready(redis)] == [b"0"]
    await limits.hand_out_due_slots()
    assert len(await _ready(redis)) == 1, "it is not due"
    await older_keys(redis, 2)
    for _ in range(3):
        await limits.hand_out_due_slots()
    assert len(await _ready(redis)) == 1 + MAX_HANDED_OUT_PER_HOST


async def test_a_clock_that_is_set_back_holds_up_no_host(redis: aioredis.Redis) -> None:
    limits = _limits(redis, max_concurrent=5, min_interval=0.3)
    assert await limits.reserve_request_time("a", max_wait=1) == 0
    for _ in range(4):
        assert await limits.acquire_or_park("b", b"{}")
    assert await limits.acquire_or_park("b", b"parked") is None
    await older_keys(redis, -3600)
    for key in (KEYS.host_next_request_time("a"), KEYS.host_next_slot_time("b")):
        await redis.incrby(key, 3_600_000)
    assert await limits.reserve_request_time("a", max_wait=1) == 0
    await limits.hand_out_due_slots()
    assert [job.parked for job in await _ready(redis)] == [b"parked"]


@pytest.mark.parametrize("score", [9e15, 1e300, float("inf")])
async def test_a_slot_ahead_of_the_clock_is_nobodys(redis: aioredis.Redis, score: float) -> None:
    limits = _limits(redis, max_concurrent=1)
    await redis.zadd(KEYS.host_slots("a"), {"ghost": score})
    assert await limits.acquire_or_park("a", b"{}")


async def test_a_host_ahead_of_the_clock_is_looked_at_next_to_hosts_that_are_due(
    redis: aioredis.Redis,
) -> None:
    limits = _limits(redis, max_concurrent=1)
    for host, score in (("ahead", 1e300), ("due", 1)):
        await redis.rpush(waiting_key(host), b"parked")
        await redis.zadd(KEYS.hosts_with_waiters, {host: score})
    await limits.hand_out_due_slots()
    assert {job.slot.host for job in await _ready(redis)} == {"ahead", "due"}


async def test_nothing_is_left_in_redis_when_nobody_waits(redis: aioredis.Redis) -> None:
    limits = _limits(redis)
    slots = [await limits.acquire_or_park(f"host{n}", b"{}") for n in range(5)]
    for slot in slots:
        assert slot
        await limits.release(slot)
    assert await redis.keys("*") == []


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"fetch_timeout": 3, "host_max_concurrent": 4})


@pytest.fixture
async def listener(settings: Settings) -> AsyncIterator[Listener]:
    async with listening(settings) as opened:
        yield opened


async def _push(redis: aioredis.Redis, job_id: str, url: str) -> None:
    await redis.rpush(QUEUE, json.dumps({"id": job_id, "url": url}))


async def test_a_hanging_host_leaves_the_others_at_full_speed(
    listener: Listener, redis: aioredis.Redis, site: Site
) -> None:
    most, now = 0, 0

    async def hang(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        try:
            await asyncio.sleep(30)
        finally:
            now -= 1

    hanging = site.answer("/hang", hang)
    for n in range(100):
        await _push(redis, f"hanging-{n}", hanging)
    await until(lambda: most == 4)
    started = perf_counter()
    for n in range(20):
        site.page(f"/{n}", "<title>A</title>")
        await _push(redis, f"good-{n}", site.url(f"/{n}", host="127.0.0.2"))

    async def all_good() -> bool:
        return len(await redis.keys(result_key("good-*"))) == 20

    await until(all_good)
    assert perf_counter() - started < 2
    assert most == 4
    assert await redis.llen(waiting_key(f"127.0.0.1:{site.port}")) == 96
    await redis.delete(waiting_key(f"127.0.0.1:{site.port}"))


async def test_redirects_to_a_busy_host_wait_there_and_go_on(
    listener: Listener, redis: aioredis.Redis, site: Site, settings: Settings
) -> None:
    site.page("/end", "<title>end</title>")
    elsewhere = site.url("/end", host="127.0.0.2")
    first = site.respond("/first", 302, b"", {"Location": elsewhere})
    busy = _limits(redis, max_concurrent=4)
    slots = [await busy.acquire_or_park(f"127.0.0.2:{site.port}", b"{}") for _ in range(4)]
    await _push(redis, "job", first)
    await until(lambda: redis.exists(waiting_key(f"127.0.0.2:{site.port}")))
    assert site.count("/end") == 0
    for slot in slots:
        assert slot
        await busy.release(slot)
    await until(lambda: redis.exists(result_key("job")))
    result = json.loads(await redis.get(result_key("job")) or "")
    assert result["title"] == "end"
    assert result["redirects"] == [{"url": first, "status": 302}]
    assert site.count("/first") == 1
    await until(lambda: _no_slots(redis))


async def _no_slots(redis: aioredis.Redis) -> bool:
    return not await redis.keys("*:slots")


async def test_fetch_waits_its_turn_and_goes_on_without_redis(
    open_parser: OpenApp, redis: aioredis.Redis, site: Site
) -> None:
    url = site.page("/", "<title>A</title>")
    busy = _limits(redis, max_concurrent=4)
    slots = [await busy.acquire_or_park(f"127.0.0.1:{site.port}", b"{}") for _ in range(4)]
    async with open_parser() as client:
        waiting = asyncio.create_task(client.get("/fetch", params={"url": url}))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert slots[0]
        await busy.release(slots[0])
        assert (await waiting).json()["title"] == "A"

        late = await client.get("/fetch", params={"url": url})
        assert late.status_code == 200, "the slot came back"
    async with open_parser(redis_url="redis://127.0.0.1:1/0") as client:
        assert (await client.get("/fetch", params={"url": url})).json()["title"] == "A"


@pytest.mark.parametrize("value", ["words", str(2**63 - 1)])
async def test_a_broken_counter_of_holders_holds_up_no_host(
    redis: aioredis.Redis, value: str
) -> None:
    limits = _limits(redis, max_concurrent=1)
    slots = [await limits.acquire_or_park(host, b"{}") for host in "ab"]
    assert [await limits.acquire_or_park(host, b"{}") for host in "ab"] == [None, None]
    await redis.set(KEYS.slot_holder_counter, value)
    for slot in slots:
        assert slot
        await limits.release(slot)
    ready = await _ready(redis)
    assert [job.slot.host for job in ready] == ["a", "b"]
    assert ready[0].slot.holder != ready[1].slot.holder


@pytest.mark.parametrize("value", ["words", "nan", "inf", "-inf", "1e400", ""])
async def test_times_that_are_none_do_not_close_a_host(redis: aioredis.Redis, value: str) -> None:
    limits = _limits(redis, max_concurrent=9, min_interval=0.01)
    await redis.set(KEYS.host_next_slot_time("a"), value)
    await redis.set(KEYS.host_next_request_time("a"), value)
    slot = await limits.acquire_or_park("a", b"{}")
    assert slot
    assert await limits.reserve_request_time("a", max_wait=1) is not None


async def test_a_slot_that_fell_free_does_not_let_newcomers_pass_the_line(
    redis: aioredis.Redis,
) -> None:
    limits = _limits(redis, max_concurrent=1, lease=1.5)
    assert await limits.acquire_or_park("a", b"{}")
    assert await limits.acquire_or_park("a", b"waiting") is None
    await older_keys(redis, 2)  # the slot's parser is dead, and nobody has looked since
    assert await limits.acquire_or_park("a", b"newcomer") is None
    await limits.hand_out_due_slots()
    assert [job.parked for job in await _ready(redis)] == [b"waiting"]


async def test_junk_in_a_hosts_line_keeps_no_slot(
    settings: Settings, redis: aioredis.Redis
) -> None:
    junk = [b"", b"{}", b"\xff", b'{"job":1}', b"a\nb", b"[]"]
    await redis.rpush(waiting_key("a"), *junk)
    await redis.zadd(KEYS.hosts_with_waiters, {"a": 1})

    async def is_over() -> bool:
        return not await redis.exists(waiting_key("a"), READY, KEYS.host_slots("a"))

    async with listening(settings.model_copy(update={"fetch_timeout": 60})):
        await until(is_over, seconds=15)
