"""A parser shows that it lives as long as it does, whatever Redis does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from parser_service.config import Settings
from parser_service.dependencies import open_redis
from parser_service.jobs.backoff import Backoff
from parser_service.jobs.heartbeat import Heartbeat
from parser_service.jobs.runnable import RunnableJob
from parser_service.redis_queue.host_limits import HostLimits
from parser_service.redis_queue.job_queue import JobQueue, TakenMessage
from parser_service.redis_queue.keys import Keys
from parser_service.redis_queue.messages import Job

KEYS = Keys(task_queue="jobs", result_prefix="results:")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
async def unreachable() -> AsyncIterator[aioredis.Redis]:
    async with open_redis(Settings(redis_url="redis://127.0.0.1:1/0")) as client:
        yield client


def _held(*tokens: str) -> list[RunnableJob]:
    jobs = [Job(id=token, url="http://a.example/", token=token) for token in tokens]
    return [
        RunnableJob(TakenMessage("jobs", b"", is_ready=False), b"", job, job.url) for job in jobs
    ]


def _heartbeat(
    redis: aioredis.Redis,
    held: list[RunnableJob],
    *,
    alive_file: Path | None = None,
    limits: HostLimits | None = None,
) -> Heartbeat:
    queue = JobQueue(redis, name="parser", keys=KEYS, result_ttl=60)
    return Heartbeat(queue=queue, limits=limits, held=lambda: held, alive_file=alive_file)


async def test_a_beat_shows_the_parser_and_touches_its_file(
    redis: aioredis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "alive"
    await _heartbeat(redis, [], alive_file=file).beat()
    assert await redis.zrange(KEYS.parsers, 0, -1) == ["parser"]
    assert file.exists()


async def test_a_beat_renews_leases_and_makes_none(redis: aioredis.Redis) -> None:
    await redis.zadd(KEYS.leases, {"leased": 1})
    await _heartbeat(redis, _held("leased", "not-leased")).beat()
    assert await redis.zrange(KEYS.leases, 0, -1) == ["leased"]
    assert float(await redis.zscore(KEYS.leases, "leased") or 0) > 1


async def test_a_beat_leases_once_what_could_not_be_leased_and_is_still_held(
    redis: aioredis.Redis,
) -> None:
    heartbeat = _heartbeat(redis, _held("held"))
    heartbeat.lease_at_next_beat(["held", "gone"])
    await heartbeat.beat()
    assert await redis.zrange(KEYS.leases, 0, -1) == ["held"]
    await redis.delete(KEYS.leases)
    await heartbeat.beat()
    assert not await redis.exists(KEYS.leases)


async def test_what_could_not_be_leased_is_leased_when_redis_is_back(
    redis: aioredis.Redis, unreachable: aioredis.Redis
) -> None:
    heartbeat = _heartbeat(unreachable, _held("held"))
    heartbeat.lease_at_next_beat(["held"])
    await heartbeat.beat()
    heartbeat._queue = JobQueue(redis, name="parser", keys=KEYS, result_ttl=60)
    await heartbeat.beat()
    assert await redis.zrange(KEYS.leases, 0, -1) == ["held"]


async def test_a_beat_hands_out_slots_that_are_due(redis: aioredis.Redis) -> None:
    limits = HostLimits(redis, keys=KEYS, max_concurrent=1, min_interval=0, lease=10)
    await limits.acquire_or_park("a", b"{}")
    await limits.acquire_or_park("a", b"waiting")
    await redis.delete(KEYS.host_slots("a"))
    await redis.zadd(KEYS.hosts_with_waiters, {"a": 1})
    await _heartbeat(redis, [], limits=limits).beat()
    assert await redis.llen(KEYS.ready_jobs) == 1


async def test_an_outage_of_redis_is_not_taken_for_the_death_of_the_parser(
    unreachable: aioredis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "alive"
    await _heartbeat(unreachable, _held("held"), alive_file=file).beat()
    assert file.exists()


async def test_a_fault_of_the_parser_is_seen_in_its_file(
    redis: aioredis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat = _heartbeat(redis, _held("held"), alive_file=tmp_path / "alive")

    async def crash(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(heartbeat._queue, "renew_leases", crash)
    await heartbeat.beat()
    assert not (tmp_path / "alive").exists()


def test_pauses_between_tries_double_up_to_five_seconds_until_one_succeeds() -> None:
    backoff = Backoff()
    pauses = [backoff.next_pause() for _ in range(8)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    backoff.reset()
    assert backoff.next_pause() == 0.1
