"""Whatever a job raises, wherever, is the failure of that job; the parser goes on."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
import redis.asyncio as aioredis
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.exceptions import DataError, RedisError, ResponseError

from parser_service import log
from parser_service.config import Settings
from parser_service.dependencies import make_job_queue, open_pipeline, open_redis
from parser_service.exceptions import BlockedAddressError, ConnectError
from parser_service.jobs import listener as listener_module
from parser_service.jobs import runners
from parser_service.jobs.listener import Listener
from parser_service.pipeline import PagePipeline
from parser_service.redis_queue.host_limits import UNLIMITED, HostLimits, Slot
from parser_service.redis_queue.job_queue import JobQueue
from parser_service.redis_queue.keys import Keys
from tests.support.keys import (
    DONE,
    DONE_BYTES,
    HOSTS,
    LEASES,
    PARSERS,
    QUEUE,
    READY,
    result_key,
    waiting_key,
)
from tests.support.listening import listening
from tests.support.site import Site
from tests.support.waiting import until


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


class UnspeakableError(Exception):
    """An error that cannot even be written down."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


FAULTS: list[Exception] = [
    ValueError("\ud800 is no text"),
    TypeError("x"),
    KeyError(2**64),
    RecursionError(),
    AssertionError(),
    OverflowError(),
    UnspeakableError(),
    ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    ResponseError("wrong number of arguments"),
    DataError("x"),
    BlockedAddressError("\ud800 is no text"),
]


class Limits(HostLimits):
    """Host limits that raise when a slot is asked for, and when it is left."""

    def __init__(self, queue_of: aioredis.Redis, entering: Exception | None, leaving: Any) -> None:
        super().__init__(
            queue_of, keys=Keys.of(Settings()), max_concurrent=9, min_interval=0, lease=9
        )
        self._entering = entering
        self._leaving = leaving

    async def acquire_or_park(
        self, host: str, parked: bytes, *, token: str | None = None
    ) -> Slot | None:
        if self._entering:
            raise self._entering
        return await super().acquire_or_park(host, parked, token=token)

    async def release(self, slot: Slot, *, hand_over: int = UNLIMITED) -> None:
        if self._leaving:
            raise self._leaving
        await super().release(slot, hand_over=hand_over)


class Queue(JobQueue):
    """A queue that raises when the result of a faulty job is stored for the first time."""

    fault: Exception | None = None

    async def finish(self, job_id: int | str, *args: Any, **options: Any) -> None:
        fault, self.fault = self.fault, None
        if fault:
            raise fault
        await super().finish(job_id, *args, **options)


class Pipeline(PagePipeline):
    """A pipeline that raises."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    async def run(self, *_: Any, **__: Any) -> Any:
        raise self._fault


async def _outcome(settings: Settings, place: str, fault: Exception) -> dict[str, Any]:
    """Run a job with a fault in one place, then one without; return the first one's result."""
    async with contextlib.AsyncExitStack() as stack:
        redis = await stack.enter_async_context(open_redis(settings))
        await redis.flushdb()
        pipeline = await stack.enter_async_context(open_pipeline(settings))
        limits = Limits(
            redis,
            fault if place == "access" else None,
            fault if place == "leaving" else None,
        )
        queue = Queue(redis, name="test", keys=Keys.of(settings), result_ttl=60)
        queue.fault = fault if place == "store" else None
        listener = Listener(
            queue=queue,
            limits=limits,
            pipeline=Pipeline(fault) if place == "pipeline" else pipeline,
            settings=settings,
            block_seconds=0.05,
        )
        kind = "faulty" if place == "encode" else "page"
        job = {"id": 2**64, "url": "http://127.0.0.1:1/", "token": "t", "reply": DONE, "kind": kind}
        await redis.rpush(QUEUE, json.dumps(job), json.dumps(job | {"id": 1}))
        running = asyncio.create_task(listener.run())
        try:
            found = json.loads(await until(lambda: redis.get(result_key(2**64)), seconds=60))
            await until(lambda: redis.get(result_key(1)), seconds=60)
            assert await redis.llen(DONE) == 2
            await until(lambda: _is_none(redis), seconds=60)
        finally:
            listener.stop()
            await asyncio.wait_for(running, 5)
    return dict(found)


async def _is_none(redis: aioredis.Redis) -> bool:
    return not await redis.zcard(LEASES)


PLACES = ["access", "leaving", "pipeline", "encode", "store"]


@given(st.sampled_from(PLACES), st.sampled_from(FAULTS))
@hypothesis_settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_a_job_raises_anywhere_is_its_failure(
    settings: Settings, place: str, fault: Exception
) -> None:
    async def faulty(*_: object) -> bytes:
        raise fault

    runners.RUNNER_BY_KIND["faulty"] = faulty
    try:
        nobody_listens = settings.model_copy(update={"fetch_allowed_ports": frozenset({1})})
        result = asyncio.run(_outcome(nobody_listens, place, fault))
    finally:
        del runners.RUNNER_BY_KIND["faulty"]
    assert (result["status"], result["token"]) == ("failure", "t")
    # Host limits are best effort, and a slot is left when the result is stored already.
    is_harmless = place == "leaving" or (place == "access" and isinstance(fault, RedisError))
    expected = ConnectError.code if is_harmless else "internal_error"
    assert result["reason"]["code"] == expected


BYTES = st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "url", "token", "reply", "trace", "kind", "alone", "job"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


@given(st.lists(st.tuples(st.booleans(), BYTES), max_size=8))
@hypothesis_settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_whatever_is_in_the_lists_the_job_behind_it_is_run(
    settings: Settings, messages: Sequence[tuple[bool, bytes]]
) -> None:
    async def run() -> None:
        async with open_redis(settings) as redis:
            await redis.flushdb()
            for is_ready, message in messages:
                await redis.rpush(READY if is_ready else QUEUE, message)
            await redis.rpush(QUEUE, json.dumps({"id": "last", "url": "http://10.0.0.1/"}))
            async with listening(settings):
                await until(lambda: redis.exists(result_key("last")), seconds=5)

    asyncio.run(run())


@pytest.fixture
def real_log_lines() -> Iterator[None]:
    before = structlog.get_config()
    renderer = structlog.processors.JSONRenderer(serializer=log._dumps)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, renderer],
        cache_logger_on_first_use=False,
    )
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("real_log_lines")
@pytest.mark.parametrize("job_id", [2**63, 2**64, 10**400, -(2**70), "\x00", "\U0001f600" * 300])
async def test_a_job_with_any_id_has_a_result(
    settings: Settings, redis: aioredis.Redis, job_id: object
) -> None:
    async with listening(settings):
        await redis.rpush(QUEUE, json.dumps({"id": job_id, "url": "http://10.0.0.1/"}))
        result = await until(lambda: redis.get(result_key(job_id)))
    assert json.loads(result)["reason"]["code"] == "blocked_address"


async def test_replies_of_another_type_hold_no_place(
    settings: Settings, redis: aioredis.Redis, site: Site
) -> None:
    url = site.page("/", "<title>A</title>")
    await redis.hset("a hash", "a", "b")
    await redis.set("done:bytes", "no number")
    few = settings.model_copy(update={"fetch_concurrency": 4})
    async with listening(few):
        for number in range(20):
            job = {"id": number, "url": url, "token": f"t{number}", "reply": "a hash"}
            await redis.rpush(QUEUE, json.dumps(job))
        for number in range(20, 24):
            job = {"id": number, "url": url, "token": f"t{number}", "reply": "done"}
            await redis.rpush(QUEUE, json.dumps(job))
        await until(lambda: redis.exists(result_key(23)), seconds=5)
        await until(lambda: _all_stored(redis, 24), seconds=5)
        assert await redis.zcard(LEASES) == 0
    assert await redis.llen("done") == 4  # each once
    assert await redis.type("a hash") == "hash"


async def _all_stored(redis: aioredis.Redis, count: int) -> bool:
    return await redis.exists(*(result_key(number) for number in range(count))) == count


class Recorder:
    """Note the events that are logged."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    def __getattr__(self, _level: str) -> Callable[..., None]:
        return lambda event, **_: self._events.append(event)


async def test_leases_of_another_type_are_logged_and_pass(
    settings: Settings, redis: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # structlog writes to the output that was there when a logger was first used: ask the logger.
    logged: list[str] = []
    monkeypatch.setattr(listener_module, "log", Recorder(logged))
    await redis.set(LEASES, "a string")
    await redis.hset(DONE_BYTES, "a", "b")
    await redis.rpush(QUEUE, json.dumps({"id": 1, "url": "http://10.0.0.1/", "token": "t"}))
    async with listening(settings):
        await until(lambda: redis.zscore(PARSERS, "test"))  # it is alive, and shows it
        await until(lambda: "no jobs taken" in logged)
        assert await redis.llen(QUEUE) == 1
        await redis.delete(LEASES)
        await until(lambda: redis.exists(result_key(1)), seconds=8)


async def test_a_waiting_list_of_another_type_holds_up_no_other_host(
    settings: Settings, redis: aioredis.Redis
) -> None:
    await redis.zadd(HOSTS, {"a.example": 1, "b.example": 2})
    await redis.set(waiting_key("a.example"), "a string")
    job = {"id": 1, "url": "http://10.0.0.1/"}
    parked = {"job": json.dumps(job), "url": "http://10.0.0.1/", "redirects": []}
    await redis.rpush(waiting_key("b.example"), json.dumps(parked))
    async with listening(settings):
        await until(lambda: redis.exists(result_key(1)), seconds=4)
    assert (await redis.zscore(HOSTS, "a.example") or 0) > 2


async def test_a_broken_list_of_ready_jobs_loses_no_job_that_waits(
    settings: Settings, redis: aioredis.Redis, redis_url: str
) -> None:
    await redis.zadd(HOSTS, {"a.example": 1})
    await redis.rpush(waiting_key("a.example"), "a job")
    await redis.set(READY, "a string")
    async with aioredis.Redis.from_url(redis_url) as raw:
        limits = Limits(raw, None, None)
        await limits.hand_out_due_slots()
        assert await redis.lrange(waiting_key("a.example"), 0, -1) == ["a job"]
        await redis.delete(READY)
        await redis.zadd(HOSTS, {"a.example": 1})
        await limits.hand_out_due_slots()
    assert len(await redis.lrange(READY, 0, -1)) == 1


async def test_a_call_that_is_no_text_fails_alone(settings: Settings, redis_url: str) -> None:
    async with aioredis.Redis.from_url(redis_url) as raw:
        queue = make_job_queue(raw, settings, name="test")
        outcomes = await asyncio.gather(
            queue.finish("\ud800", b"a", token=None, reply=None),
            queue.finish(1, b"b", token=None, reply=None),
            return_exceptions=True,
        )
        assert isinstance(outcomes[0], UnicodeEncodeError)
        assert await raw.get(result_key(1)) == b"b"
