"""A parked job comes back as it was, whether Python or Lua reads it."""

import json
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from parser_service.fetching.hop import Hop
from parser_service.jobs.parked import ParkedJob, ReadyJob
from parser_service.jobs.runnable import decode_job
from parser_service.redis_queue.host_limits import HostLimits, Slot
from parser_service.redis_queue.job_queue import JobQueue, TakenMessage
from parser_service.redis_queue.keys import Keys

KEYS = Keys(task_queue="jobs", result_prefix="results:")
RAW = json.dumps(
    {"id": 1, "url": "http://a.example/\n\"'\\", "token": "1-t", "trace": "\N{SNOWMAN}\x00\n"},
    ensure_ascii=False,
).encode()
HOPS = [Hop("http://a.example/", 302), Hop("http://b.example/?\n", 307)]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


def test_what_is_written_is_one_object_of_json() -> None:
    parked = ParkedJob.of(b'{"id":1}', url="http://c.example/", hops=HOPS[:1])
    assert parked.encode() == (
        b'{"job":"{\\"id\\":1}","url":"http://c.example/","redirects":[["http://a.example/",302]]}'
    )


@pytest.mark.parametrize("is_allowed", [False, True])
def test_what_robots_txt_allowed_is_remembered(*, is_allowed: bool) -> None:
    parked = ParkedJob.of(RAW, url="http://c.example/", is_allowed=is_allowed)
    taken = TakenMessage("jobs:ready", b"r7\na.example\n" + parked.encode(), is_ready=True)
    assert decode_job(taken).is_allowed is is_allowed


@pytest.mark.parametrize(
    "hops", [[], HOPS, [HOPS[0], Hop("http://a.example/x", 302, ("a=1", "b=\u00e9"))]]
)
def test_what_is_written_is_read(hops: list[Hop]) -> None:
    parked = ParkedJob.of(RAW, url="http://c.example/", hops=hops)
    read = ReadyJob.decode(b"r7\na.example:8080\n" + parked.encode())
    assert read.slot == Slot("a.example:8080", "r7")
    again = read.read_parked()
    assert (again.job_message, again.url, again.hops) == (RAW, "http://c.example/", hops)


@pytest.mark.parametrize(
    "message",
    [b"", b"{}", b"r1\nhost", b"r1\nhost\nnonsense", b"r1\nhost\n{}", b"r1\n\xff\n{}"],
)
def test_a_message_that_is_something_else_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError):
        decode_job(TakenMessage("jobs:ready", message, is_ready=True))


@pytest.mark.parametrize("job", ["", "nonsense", "[]", '{"id": 1}'])
def test_a_parked_job_that_is_no_job_is_refused(job: str) -> None:
    parked = ParkedJob.of(job.encode(), url="http://c.example/")
    with pytest.raises(ValueError):
        decode_job(TakenMessage("jobs:ready", b"r1\nhost\n" + parked.encode(), is_ready=True))


async def test_a_job_that_lua_hands_on_is_read_in_python_and_leased_in_lua(
    redis: aioredis.Redis,
) -> None:
    limits = HostLimits(redis, keys=KEYS, max_concurrent=1, min_interval=0, lease=10)
    queue = JobQueue(redis, name="parser", keys=KEYS, result_ttl=60)
    slot = await limits.acquire_or_park("a.example", b"{}")
    parked = ParkedJob.of(RAW, url="http://c.example/", hops=HOPS)
    assert await limits.acquire_or_park("a.example", parked.encode(), token="1-t") is None
    assert slot
    await limits.release(slot)

    (taken,) = await queue.take(5)
    assert (taken.list, taken.is_ready) == (KEYS.ready_jobs, True)
    assert await redis.zrange(KEYS.leases, 0, -1) == [b"1-t"]
    runnable = decode_job(taken)
    assert (runnable.raw, runnable.url, runnable.hops) == (RAW, "http://c.example/", HOPS)
    assert (runnable.job.id, runnable.job.trace) == (1, "\N{SNOWMAN}\x00\n")
    assert runnable.slot == Slot("a.example", "r1")
    assert await redis.zscore(KEYS.host_slots("a.example"), "r1")
