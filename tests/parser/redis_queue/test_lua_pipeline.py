"""Calls of scripts share round trips, and each gets its own answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis
from redis.exceptions import RedisError

from parser_service.config import Settings
from parser_service.dependencies import open_redis
from parser_service.redis_queue.lua_pipeline import (
    MAX_BYTES_PER_BATCH,
    MAX_CALLS_PER_BATCH,
    ScriptPipeline,
)
from tests.support.waiting import until

ECHO = "return ARGV[1]"
APPEND = "return redis.call('RPUSH', KEYS[1], ARGV[1])"
FAIL = "return redis.error_reply('ERR refused')"


class CountingRedis(aioredis.Redis):
    """Notes how many calls each round trip has, and holds it back while its gate is closed."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.round_trips: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None):  # type: ignore[no-untyped-def] # noqa: ANN201
        made = super().pipeline(transaction, shard_hint)
        execute = made.execute

        async def counted(raise_on_error: bool = True) -> list[object]:
            self.round_trips.append(len(made))
            await self.gate.wait()
            return await execute(raise_on_error)

        made.execute = counted  # type: ignore[method-assign]
        return made


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[CountingRedis]:
    async with CountingRedis.from_url(redis_url) as client:
        assert isinstance(client, CountingRedis)
        await client.script_flush()
        yield client


async def test_calls_made_at_once_share_a_round_trip_and_keep_their_answers(
    redis: CountingRedis,
) -> None:
    echo = ScriptPipeline(redis).register(ECHO)
    await echo(args=["known"])
    redis.round_trips.clear()
    answers = await asyncio.gather(*(echo(args=[n]) for n in range(20)))
    assert answers == [b"%d" % n for n in range(20)]
    assert redis.round_trips == [20]


async def test_calls_made_during_a_round_trip_go_out_with_the_next(redis: CountingRedis) -> None:
    echo = ScriptPipeline(redis).register(ECHO)
    await echo(args=["known"])
    redis.round_trips.clear()
    redis.gate.clear()
    first = asyncio.create_task(echo(args=["first"]))
    await until(lambda: redis.round_trips)
    later = [asyncio.create_task(echo(args=[n])) for n in range(3)]
    await asyncio.sleep(0)
    redis.gate.set()
    assert await asyncio.gather(first, *later) == [b"first", b"0", b"1", b"2"]
    assert redis.round_trips == [1, 3]


async def test_calls_are_sent_in_the_order_in_which_they_are_made(redis: CountingRedis) -> None:
    append = ScriptPipeline(redis).register(APPEND)
    await append(keys=["list"], args=["known"])
    await asyncio.gather(*(append(keys=["list"], args=[n]) for n in range(250)))
    assert await redis.lrange("list", 1, -1) == [b"%d" % n for n in range(250)]


async def test_a_round_trip_is_bounded_in_calls(redis: CountingRedis) -> None:
    echo = ScriptPipeline(redis).register(ECHO)
    await echo(args=["known"])
    redis.round_trips.clear()
    await asyncio.gather(*(echo(args=[n]) for n in range(MAX_CALLS_PER_BATCH + 1)))
    assert redis.round_trips == [MAX_CALLS_PER_BATCH, 1]


async def test_a_round_trip_is_bounded_in_bytes(redis: CountingRedis) -> None:
    echo = ScriptPipeline(redis).register(ECHO)
    await echo(args=["known"])
    redis.round_trips.clear()
    half = b"x" * (MAX_BYTES_PER_BATCH // 2)
    answers = await asyncio.gather(*(echo(args=[half]) for _ in range(3)))
    assert answers == [half] * 3
    assert redis.round_trips == [2, 1]


async def test_a_redis_that_forgot_its_scripts_gets_them_again(redis: CountingRedis) -> None:
    pipeline = ScriptPipeline(redis)
    echo, append = pipeline.register(ECHO), pipeline.register(APPEND)
    for _ in range(2):
        await redis.script_flush()
        answers = await asyncio.gather(echo(args=["a"]), append(keys=["list"], args=["b"]))
        assert answers[0] == b"a"
    assert await redis.lrange("list", 0, -1) == [b"b", b"b"]


async def test_a_script_that_fails_fails_alone(redis: CountingRedis) -> None:
    pipeline = ScriptPipeline(redis)
    echo, fail = pipeline.register(ECHO), pipeline.register(FAIL)
    answers = await asyncio.gather(
        echo(args=["a"]), fail(), echo(args=["b"]), return_exceptions=True
    )
    assert (answers[0], answers[2]) == (b"a", b"b")
    assert isinstance(answers[1], RedisError)


async def test_a_caller_that_gives_up_leaves_the_others_their_answers(
    redis: CountingRedis,
) -> None:
    echo = ScriptPipeline(redis).register(ECHO)
    given_up, waiting = (asyncio.create_task(echo(args=[n])) for n in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await waiting == b"1"
    assert await echo(args=["later"]) == b"later"


async def test_all_callers_learn_that_redis_is_unreachable_and_may_try_again() -> None:
    async with open_redis(Settings(redis_url="redis://127.0.0.1:1/0")) as unreachable:
        echo = ScriptPipeline(unreachable).register(ECHO)
        for _ in range(2):
            answers = await asyncio.gather(echo(), echo(), return_exceptions=True)
            assert all(isinstance(answer, RedisError | OSError) for answer in answers)
