"""A host that is slow or hangs never has all places of a parser; a quick one may."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from time import perf_counter

import pytest
import redis.asyncio as aioredis

from parser_service.config import Settings
from parser_service.fetching.host_access import PageProgress
from parser_service.fetching.url_guard import VettedUrl, parse_url
from parser_service.jobs.access import JobAccess, ParkedError
from parser_service.jobs.shares import QUICK_SECONDS, HostShares
from parser_service.redis_queue.host_limits import HostLimits, Slot
from parser_service.redis_queue.keys import Keys
from tests.support.keys import LEASES, QUEUE, READY, result_key, waiting_key
from tests.support.listening import listening
from tests.support.site import Site
from tests.support.waiting import until

KEYS = Keys.of(Settings())
PLACES = 8
SHARE = 6
OTHER = "127.0.0.2"


class FarAccess(JobAccess):
    """Access to a host whose next moment is far away; its line is full the second time."""

    def __init__(self, limits: HostLimits, shares: HostShares) -> None:
        super().__init__(limits, b"{}", shares=shares)
        self._slots = [Slot("a", "one")]

    async def _acquire_slot(self, _limits: HostLimits, _progress: PageProgress) -> Slot:
        if not self._slots:
            self._give_back_share_and_place(has_ended=False)
            raise ParkedError
        return self._slots.pop()

    async def _wait_and_take_request_time(self, _limits: HostLimits, _host: str) -> bool:
        return False


class Occupant:
    """Count how often a place was asked back."""

    def __init__(self) -> None:
        self.given_up = 0

    def give_up_place(self) -> None:
        self.given_up += 1


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("places", "share", "most"),
    [(64, 0.75, 48), (4, 0.75, 3), (2, 0.75, 1), (1, 0.75, 1), (3, 0.1, 1), (8, 1.0, 8)],
)
def test_a_share_is_of_whole_places_and_at_least_one(places: int, share: float, most: int) -> None:
    clock = Clock()
    shares = HostShares(places, share=share, clock=clock)
    for _ in range(places):
        shares.enter("a", Occupant())
    clock.now += QUICK_SECONDS + 1
    assert len(list(shares.occupants_beyond_share())) == places - most


def test_a_host_is_limited_only_while_its_pages_are_slow() -> None:
    clock = Clock()
    shares = HostShares(4, share=0.5, clock=clock)
    jobs = [Occupant() for _ in range(4)]
    for job in jobs:
        assert shares.has_room_for("a"), "it is not known to be slow"
        shares.enter("a", job)
    assert list(shares.occupants_beyond_share()) == []
    clock.now += QUICK_SECONDS + 0.1
    assert list(shares.occupants_beyond_share()) == jobs[2:], "the newest"
    assert not shares.has_room_for("a")
    assert shares.has_room_for("b")
    shares.leave("a", jobs[3], has_ended=True)
    assert not shares.has_room_for("a"), "a page that took long is no sign of speed"
    for job in jobs[1:3]:
        shares.leave("a", job, has_ended=False)
    assert shares.max_more_jobs("a") == 1
    quick = Occupant()
    shares.enter("a", quick)
    shares.leave("a", quick, has_ended=False)
    assert shares.max_more_jobs("a") == 1, "nor is a page that was parked"
    shares.enter("a", quick)
    shares.leave("a", quick, has_ended=True)
    assert shares.max_more_jobs("a") == 4


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(params=[0, 256])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    changes = {
        "fetch_timeout": 30,
        "fetch_concurrency": PLACES,
        "host_max_concurrent": request.param,
        "shutdown_grace": 0.2,
    }
    return settings.model_copy(update=changes)


class Hanging:
    """Hang until released, and count the requests that hang now."""

    def __init__(self) -> None:
        self.now = 0
        self.release = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.now += 1
        closed = asyncio.create_task(reader.read())
        released = asyncio.create_task(self.release.wait())
        try:
            await asyncio.wait({closed, released}, return_when=asyncio.FIRST_COMPLETED)
            body = b"<title>late</title>"
            head = (
                f"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
        finally:
            closed.cancel()
            released.cancel()
            self.now -= 1


async def test_a_job_that_redis_does_not_take_back_begins_again(site: Site) -> None:
    target = VettedUrl(parse_url(site.url()))
    async with aioredis.Redis.from_url("redis://127.0.0.1:1/0") as away:
        limits = HostLimits(away, keys=KEYS, max_concurrent=0, min_interval=0, lease=9)
        shares = HostShares(1, share=1)
        access = JobAccess(limits, b"{}", shares=shares)
        begun = 0

        async def work() -> bytes:
            nonlocal begun
            begun += 1
            await access.obtain_host_access(target, ())
            if begun == 1:
                access.give_up_place()
                access.give_up_place()
                await asyncio.sleep(30)
            return b"done"

        async with access:
            assert await access.run(work) == b"done"
            access.give_up_place()  # too late: nothing happens
        assert begun == 2
        assert shares.max_more_jobs(target.host_key) == 1


async def _push(redis: aioredis.Redis, name: str, url: str) -> None:
    job = {"id": name, "url": url, "token": f"t-{name}"}
    await redis.rpush(QUEUE, json.dumps(job))


def _results(redis: aioredis.Redis, pattern: str, count: int) -> Callable[[], object]:
    async def are_there() -> bool:
        return len(await redis.keys(result_key(pattern))) == count

    return are_there


@pytest.mark.parametrize("is_redirected", [False, True])
async def test_a_hanging_host_never_keeps_all_places_and_loses_no_job(
    redis: aioredis.Redis, settings: Settings, site: Site, *, is_redirected: bool
) -> None:
    hanging = Hanging()
    url = site.answer("/hang", hanging).replace("127.0.0.1", OTHER)
    start = site.respond("/start", 302, b"", {"Location": url}) if is_redirected else url
    for n in range(40):
        await _push(redis, f"hanging-{n}", start)
    good = site.page("/good", "<title>A</title>")
    async with listening(settings):
        await until(lambda: hanging.now == PLACES)
        started = perf_counter()
        for n in range(30):
            await _push(redis, f"good-{n}", good)
        await until(_results(redis, "good-*", 30), seconds=8)
        assert perf_counter() - started < QUICK_SECONDS + 3
        assert hanging.now <= SHARE
        assert await redis.zcard(LEASES) == hanging.now, "what is parked is leased by nobody"
        # Also later, and although the line offers its jobs again and again.
        await asyncio.sleep(2)
        assert hanging.now <= SHARE
        started = perf_counter()
        await _push(redis, "good-late", good)
        await until(_results(redis, "good-late", 1))
        assert perf_counter() - started < 1

        hanging.release.set()
        await until(_results(redis, "hanging-*", 40), seconds=20)
        await until(lambda: _nothing_waits(redis))


async def _nothing_waits(redis: aioredis.Redis) -> bool:
    return not await redis.keys("*:slots") and not await redis.exists(QUEUE, READY)


async def test_a_quick_host_has_all_places_while_nothing_else_waits(
    redis: aioredis.Redis, settings: Settings, site: Site
) -> None:
    now, most = 0, 0

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.1)
        now -= 1
        writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>")

    url = site.answer("/", answer)
    for n in range(200):
        await _push(redis, f"quick-{n}", url)
    started = perf_counter()
    async with listening(settings):
        await until(_results(redis, "quick-*", 200), seconds=20)
        seconds = perf_counter() - started
        assert not await redis.exists(waiting_key(f"127.0.0.1:{site.port}"))
    assert most == PLACES
    assert seconds < 200 * 0.1 / PLACES * 1.6


async def test_jobs_of_a_host_that_hangs_keep_their_places_if_nothing_waits(
    redis: aioredis.Redis, settings: Settings, site: Site
) -> None:
    hanging = Hanging()
    url = site.answer("/hang", hanging)
    for n in range(PLACES):
        await _push(redis, f"hanging-{n}", url)
    async with listening(settings):
        await until(lambda: hanging.now == PLACES)
        await asyncio.sleep(QUICK_SECONDS + 1)
        assert hanging.now == PLACES
        assert site.count("/hang") == PLACES
        hanging.release.set()
        await until(_results(redis, "hanging-*", PLACES))


async def test_a_job_that_waits_for_its_moment_is_no_sign_of_a_quick_host() -> None:
    clock = Clock()
    shares = HostShares(4, share=0.5, clock=clock)
    shares.enter("a", Occupant())
    clock.now += QUICK_SECONDS + 0.1
    target = VettedUrl(parse_url("http://a/"))
    async with aioredis.Redis.from_url("redis://127.0.0.1:1/0") as away:
        limits = HostLimits(away, keys=KEYS, max_concurrent=1, min_interval=9, lease=9)
        async with FarAccess(limits, shares) as access:
            with pytest.raises(ParkedError):
                await access.obtain_host_access(target, [])
    assert shares.max_more_jobs("a") == 1, "the host has shown no page"


async def test_a_job_that_is_put_aside_frees_its_slot_at_another_host(
    redis: aioredis.Redis,
) -> None:
    limits = HostLimits(redis, keys=KEYS, max_concurrent=1, min_interval=0, lease=60)
    clock = Clock()
    shares = HostShares(PLACES, share=0.1, clock=clock)
    shares.enter("b.example", Occupant())
    clock.now += QUICK_SECONDS + 1
    slot = await limits.acquire_or_park("a.example", b"{}")
    async with JobAccess(limits, b"{}", slot=slot, shares=shares) as access:
        with pytest.raises(ParkedError):
            await access.obtain_host_access(VettedUrl(parse_url("http://b.example/")), ())
    assert await redis.llen(KEYS.host_waiting_jobs("b.example")) == 1
    assert not await redis.exists(KEYS.host_slots("a.example"))
