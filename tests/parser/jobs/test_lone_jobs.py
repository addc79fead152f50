"""A lone job runs when no other does; meanwhile nothing else starts."""

import json

import pytest
import redis.asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError

from parser_service.config import Settings
from parser_service.jobs.lone import LoneJobs
from parser_service.jobs.runnable import RunnableJob
from parser_service.redis_queue.job_queue import JobQueue, TakenMessage
from parser_service.redis_queue.messages import Job
from tests.support.keys import LEASES, QUEUE
from tests.support.listening import listening
from tests.support.site import Site
from tests.support.waiting import until


def _lone(number: int, *, source: str = "jobs") -> RunnableJob:
    job = Job(id=number, url="http://a.example/", alone=True)
    raw = job.model_dump_json().encode()
    return RunnableJob(TakenMessage(source, raw, is_ready=False), raw, job, job.url)


def test_without_lone_jobs_any_number_may_run() -> None:
    lone = LoneJobs()
    assert lone.may_take_jobs(are_others_running=False)
    assert lone.may_take_jobs(are_others_running=True)
    assert lone.pop_list_with_lone_job() is None


def test_a_lone_job_starts_if_no_other_runs_and_nothing_starts_until_it_has_ended() -> None:
    lone, job = LoneJobs(), _lone(1)
    assert lone.admit_or_defer(job, are_others_running=False)
    assert not lone.may_take_jobs(are_others_running=True)
    lone.note_job_end(job)
    assert lone.may_take_jobs(are_others_running=False)


def test_after_a_lone_job_its_list_is_the_next_to_be_looked_in_once() -> None:
    lone, job = LoneJobs(), _lone(1, source="jobs:ready")
    lone.admit_or_defer(job, are_others_running=False)
    lone.note_job_end(job)
    assert lone.pop_list_with_lone_job() == "jobs:ready"
    assert lone.pop_list_with_lone_job() is None


def test_a_lone_job_that_finds_others_is_for_the_head_of_its_list() -> None:
    lone = LoneJobs()
    jobs = [_lone(number) for number in (1, 2)]
    for job in jobs:
        assert not lone.admit_or_defer(job, are_others_running=True)
    assert list(lone.to_hand_back) == jobs


def test_nothing_starts_while_a_lone_job_waits_for_the_others_to_end() -> None:
    lone = LoneJobs()
    lone.admit_or_defer(_lone(1), are_others_running=True)
    assert not lone.may_take_jobs(are_others_running=True)
    assert lone.may_take_jobs(are_others_running=False)
    assert lone.pop_list_with_lone_job() == "jobs"
    assert lone.may_take_jobs(are_others_running=True)


def test_the_end_of_another_job_does_not_end_the_wait() -> None:
    lone = LoneJobs()
    lone.admit_or_defer(_lone(1), are_others_running=True)
    lone.note_job_end(_lone(2, source="another"))
    assert not lone.may_take_jobs(are_others_running=True)
    assert lone.pop_list_with_lone_job() == "jobs"


async def _fail(*_: object, **__: object) -> None:
    raise RedisConnectionError


def _messages(url: str, count: int) -> list[str]:
    """Return jobs that must run alone, but for the first."""
    jobs = ({"id": n, "url": url, "token": f"{n}-a", "alone": n > 1} for n in range(1, count + 1))
    return [json.dumps(job) for job in jobs]


async def test_the_lease_of_a_lone_job_is_renewed_until_redis_takes_the_job_back(
    settings: Settings, redis_url: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = site.raw("/", b"", delay=30)
    changed = settings.model_copy(update={"shutdown_grace": 0.1})
    async with aioredis.Redis.from_url(redis_url) as redis:
        await redis.rpush(QUEUE, *_messages(slow, 2))
        with monkeypatch.context() as patched:
            patched.setattr(JobQueue, "hand_back", _fail)
            async with listening(changed):
                await until(lambda: redis.zscore(LEASES, "2-a"))
                until_ms = await redis.zscore(LEASES, "2-a") or 0

                async def is_renewed() -> bool:
                    return (await redis.zscore(LEASES, "2-a") or 0) > until_ms

                await until(is_renewed, seconds=5)


async def test_lone_jobs_that_redis_did_not_take_back_are_in_their_order_after_a_stop(
    settings: Settings, redis_url: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = site.raw("/", b"", delay=30)
    changed = settings.model_copy(update={"shutdown_grace": 0.1})
    async with aioredis.Redis.from_url(redis_url) as redis:
        await redis.rpush(QUEUE, *_messages(slow, 4))
        with monkeypatch.context() as patched:
            patched.setattr(JobQueue, "hand_back", _fail)
            async with listening(changed):
                await until(lambda: redis.zscore(LEASES, "4-a"))
                await until(lambda: len(site.requests) == 1)
                patched.undo()  # and stop at once
        left = [json.loads(raw)["id"] for raw in await redis.lrange(QUEUE, 0, -1)]
        assert left == [1, 2, 3, 4]
