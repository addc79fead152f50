"""What shows that a job is in a parser's hands, and what a parser does not take.

On a real Redis, with the real listener; a test that spoils its Redis has one of its own.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError

from local.valkey import Valkey
from parser_service.config import Settings
from parser_service.dependencies import make_job_queue
from parser_service.jobs.listener import Listener
from tests.support.keys import DONE, DONE_BYTES, LEASES, QUEUE, result_key, waiting_key
from tests.support.listening import listening
from tests.support.site import Site
from tests.support.waiting import until

OpenListener = Callable[..., contextlib.AbstractAsyncContextManager[Listener]]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def open_listener(settings: Settings) -> OpenListener:
    return lambda **changes: listening(settings.model_copy(update=changes))


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[str]:
    """A server that a test may fill up or make read-only."""
    server = Valkey(tmp_path, durable=False)
    server.start()
    yield server.url
    server.stop()


def _job(number: int, url: str, **more: Any) -> str:
    token = f"{number}-token"
    return json.dumps({"id": number, "url": url, "token": token, "reply": DONE} | more)


async def _listed(redis: aioredis.Redis) -> list[int]:
    return [json.loads(raw)["id"] for raw in await redis.lrange(QUEUE, 0, -1)]


async def _ended(redis: aioredis.Redis) -> list[int]:
    return [json.loads(raw)["id"] for raw in await redis.lrange(DONE, 0, -1)]


# Leases


async def test_a_job_that_was_waited_for_is_leased_before_its_page_is_asked_for(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    slow = site.raw("/", b"", delay=30)
    async with open_listener(shutdown_grace=0.1):
        for number in range(1, 6):
            await asyncio.sleep(0.1)  # the listener waits for the list to fill
            await redis.rpush(QUEUE, _job(number, slow))
            await until(partial(_is_asked, site, number))
            assert await redis.zscore(LEASES, f"{number}-token")


def _is_asked(site: Site, times: int) -> bool:
    return len(site.requests) == times


async def test_a_job_is_leased_in_the_moment_that_it_leaves_the_list(
    redis: aioredis.Redis, redis_url: str
) -> None:
    await redis.rpush(QUEUE, *(_job(number, "http://a.example/") for number in range(5)))
    await redis.rpush(QUEUE, "nonsense", '{"id": 9, "url": "http://a.example/"}')
    async with aioredis.Redis.from_url(redis_url) as client:
        queue = make_job_queue(client, Settings(redis_url=redis_url), name="a")
        assert len(await queue.take(3)) == 3
        assert await redis.zrange(LEASES, 0, -1) == ["0-token", "1-token", "2-token"]
        assert await redis.llen(QUEUE) == 4
        assert len(await queue.take(64)) == 4
    assert await redis.zcard(LEASES) == 5  # what has no token has no lease
    for number in range(5):
        assert 10 < await _seconds_left(redis, f"{number}-token") < 20


async def test_a_lease_is_renewed_as_long_as_its_page_takes(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    slow = site.raw("/", b"", delay=30)
    async with open_listener(shutdown_grace=0.1):
        await redis.rpush(QUEUE, _job(1, slow))
        await until(lambda: redis.zscore(LEASES, "1-token"))
        for _ in range(2):
            await redis.zadd(LEASES, {"1-token": 1})
            await until(partial(_is_long, redis), seconds=30)
    assert not await redis.exists(LEASES)


async def _is_long(redis: aioredis.Redis) -> bool:
    return await _seconds_left(redis, "1-token") > 10


async def _seconds_left(redis: aioredis.Redis, token: str) -> float:
    now = int(str((await redis.time())[0]))
    return float(str(await redis.zscore(LEASES, token))) / 1000 - now


async def test_a_late_renewal_leases_nothing_that_has_left_the_parsers_hands(
    redis: aioredis.Redis, redis_url: str
) -> None:
    async with aioredis.Redis.from_url(redis_url) as client:
        queue = make_job_queue(client, Settings(redis_url=redis_url), name="a")
        await redis.zadd(LEASES, {"held": 1})
        await queue.renew_leases(["held", "handed-back"])
    assert await redis.zrange(LEASES, 0, -1) == ["held"]
    assert await _seconds_left(redis, "held") > 10


async def test_a_lease_ends_with_the_result(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    url = site.page("/", "<title>A</title>")
    async with open_listener():
        await redis.rpush(QUEUE, *(_job(number, url) for number in range(20)))
        await until(partial(_all_ended, redis, 20), seconds=30)
        assert not await redis.exists(LEASES)


async def _all_ended(redis: aioredis.Redis, count: int) -> bool:
    return await redis.llen(DONE) == count


async def test_a_job_that_waits_for_its_host_is_in_nobodys_hands(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    slow = site.raw("/slow", b"", delay=30)
    async with open_listener(host_max_concurrent=1, shutdown_grace=0.1):
        await redis.rpush(QUEUE, _job(1, slow))
        await until(lambda: len(site.requests) == 1)
        await redis.rpush(QUEUE, _job(2, slow))
        waiting = waiting_key(f"127.0.0.1:{site.port}")
        await until(lambda: redis.llen(waiting))
        assert await redis.zrange(LEASES, 0, -1) == ["1-token"]


async def test_a_stop_hands_back_jobs_and_ends_their_leases(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    slow = site.raw("/", b"", delay=30)
    async with open_listener(shutdown_grace=0.1, fetch_concurrency=3):
        await redis.rpush(QUEUE, *(_job(number, slow) for number in range(5)))
        await until(lambda: len(site.requests) == 3)
    assert sorted(await _listed(redis)) == [0, 1, 2, 3, 4]
    assert (await _listed(redis))[3:] == [3, 4]  # what was taken is first in line again
    assert not await redis.exists(LEASES)


# Jobs that run alone


async def test_a_lone_job_runs_when_all_others_have_ended_and_before_any_other_begins(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    before = site.raw("/before", b"", delay=0.4)
    alone = site.raw("/alone", b"", delay=0.4)
    after = site.page("/after", "<title>A</title>")
    jobs = [_job(1, before), _job(2, before), _job(3, alone, alone=True), _job(4, after)]
    await redis.rpush(QUEUE, *jobs)
    async with open_listener(fetch_concurrency=3):
        await until(lambda: any("/alone" in str(request) for request in site.requests))
        assert sorted(await _ended(redis)) == [1, 2]
        assert not any("/after" in str(request) for request in site.requests)
        await until(partial(_all_ended, redis, 4), seconds=30)


async def test_lone_jobs_that_wait_are_in_nobodys_hands(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    # A parser that the first of them kills must not count as the death of the others' holder.
    poison = site.raw("/poison", b"", delay=30)
    await redis.rpush(QUEUE, *(_job(number, poison, alone=True) for number in range(1, 5)))
    async with open_listener(shutdown_grace=0.1):
        await until(lambda: len(site.requests) == 1)
        await until(partial(_is_leased_only, redis, "1-token"))
        assert await _listed(redis) == [2, 3, 4]
    assert await _listed(redis) == [1, 2, 3, 4]


async def test_a_lone_job_that_waits_for_others_is_in_nobodys_hands(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    poison = site.raw("/poison", b"", delay=30)
    page = site.page("/", "<title>A</title>")
    async with open_listener(shutdown_grace=0.1):
        await redis.rpush(QUEUE, _job(1, poison), _job(2, page, alone=True), _job(3, page))
        await until(lambda: site.requests)
        await until(partial(_is_leased_only, redis, "1-token"))
        await asyncio.sleep(0.3)
        assert 2 in await _listed(redis)
        assert 2 not in await _ended(redis)


async def _is_leased_only(redis: aioredis.Redis, token: str) -> bool:
    return bool(await redis.zrange(LEASES, 0, -1) == [token])


async def test_many_lone_jobs_all_run_one_after_the_other(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    page = site.page("/", "<title>A</title>")
    jobs = [_job(number, page, alone=number % 3 == 0) for number in range(30)]
    await redis.rpush(QUEUE, *jobs)
    async with open_listener(), open_listener(fetch_concurrency=2):
        await until(partial(_all_ended, redis, 30), seconds=60)
    assert sorted(await _ended(redis)) == list(range(30))


async def test_a_lone_job_does_not_starve_behind_jobs_of_a_busy_host(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    # Those that waited for their host come first, and there are always some.
    busy = site.raw("/busy", b"", delay=0.2)
    lone = site.page("/lone", "<title>A</title>").replace("127.0.0.1", "127.0.0.2")
    jobs = [_job(number, busy) for number in range(60)]
    async with open_listener(fetch_concurrency=4, host_max_concurrent=2):
        await redis.rpush(QUEUE, *jobs, _job(100, lone, alone=True))
        await until(partial(_has_ended, redis, 100), seconds=60)
        assert len(await _ended(redis)) < 50


async def _has_ended(redis: aioredis.Redis, number: int) -> bool:
    return number in await _ended(redis)


# What is not taken, and what is kept


async def test_what_was_taken_and_did_not_arrive_is_given_again(
    redis: aioredis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redis.rpush(QUEUE, *(_job(number, "http://a.example/") for number in range(4)))
    async with aioredis.Redis.from_url(settings.redis_url) as client:
        queue = make_job_queue(client, settings, name="parser")
        take = queue._take

        async def lose_the_answer(**call: Any) -> None:
            await take(**call)
            raise RedisConnectionError

        monkeypatch.setattr(queue, "_take", lose_the_answer)
        for _ in range(2):
            with pytest.raises(RedisConnectionError):
                await queue.take(3)
        monkeypatch.setattr(queue, "_take", take)
        batches = [[json.loads(t.raw)["id"] for t in await queue.take(3)] for _ in range(3)]
    assert batches == [[0, 1, 2], [3], []]
    assert await redis.zcard(LEASES) == 4


async def test_no_job_is_taken_while_too_many_results_wait(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    url = site.page("/", f"<title>A</title>{'x' * 1000}")
    await redis.rpush(QUEUE, *(_job(number, url) for number in range(6)))
    async with open_listener(fetch_concurrency=2, max_result_bytes=1500):
        await until(partial(_all_ended, redis, 2), seconds=30)
        await asyncio.sleep(0.5)
        assert await redis.llen(DONE) in (2, 3, 4)
        held_up = await redis.llen(DONE)
        assert await redis.llen(QUEUE) == 6 - held_up
        await redis.delete(DONE_BYTES)  # they have been persisted
        await until(partial(_more_ended, redis, held_up), seconds=30)


async def _more_ended(redis: aioredis.Redis, than: int) -> bool:
    return await redis.llen(DONE) > than


async def test_a_result_for_which_redis_has_no_memory_is_kept_and_stored_later(
    own_valkey: str, settings: Settings, site: Site
) -> None:
    slow = site.raw("/", b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n", delay=0.5)
    changed = settings.model_copy(update={"redis_url": own_valkey})
    async with (
        aioredis.Redis.from_url(own_valkey, decode_responses=True) as redis,
        listening(changed),
    ):
        await redis.rpush(QUEUE, _job(1, slow))
        await until(lambda: len(site.requests) == 1)
        await redis.config_set("maxmemory", 1)
        await until(partial(_has_refused, redis, "OOM"))
        assert not await redis.exists(result_key(1))
        assert await redis.zscore(LEASES, "1-token")  # still in its hands
        await redis.config_set("maxmemory", 0)
        await until(partial(_all_ended, redis, 1), seconds=30)
        assert await redis.exists(result_key(1))
        assert len(site.requests) == 1


async def _has_refused(redis: aioredis.Redis, error: str) -> bool:
    return f"errorstat_{error}" in await redis.info("errorstats")


async def test_a_stop_while_redis_has_no_memory_hands_the_job_back(
    own_valkey: str, settings: Settings, site: Site
) -> None:
    url = site.raw("/", b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n", delay=0.3)
    changed = settings.model_copy(update={"redis_url": own_valkey, "shutdown_grace": 1.0})
    async with aioredis.Redis.from_url(own_valkey, decode_responses=True) as redis:
        async with listening(changed):
            await redis.rpush(QUEUE, _job(1, url))
            await until(lambda: len(site.requests) == 1)
            await redis.config_set("maxmemory", 1)
        assert await _listed(redis) == [1]
        assert not await redis.exists(LEASES)


async def test_a_listener_outlives_a_redis_that_is_read_only_for_a_while(
    own_valkey: str, settings: Settings, site: Site
) -> None:
    url = site.raw("/", b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n", delay=0.3)
    changed = settings.model_copy(update={"redis_url": own_valkey})
    async with (
        aioredis.Redis.from_url(own_valkey, decode_responses=True) as redis,
        listening(changed),
    ):
        await redis.rpush(QUEUE, _job(1, url))
        await until(lambda: len(site.requests) == 1)
        await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
        await until(partial(_has_refused, redis, "READONLY"))
        await redis.execute_command("REPLICAOF", "NO", "ONE")
        await redis.rpush(QUEUE, _job(2, url))
        await until(partial(_all_ended, redis, 2), seconds=60)
        assert sorted(await _ended(redis)) == [1, 2]
