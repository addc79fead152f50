"""Announced results are taken, acknowledged and reclaimed, also when Redis is in trouble."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis
from redis.exceptions import RedisError

from api_service.assembly.worker import open_worker
from api_service.config import Settings
from api_service.parser_client.keys import Keys
from api_service.parser_client.messages import ResultAnnouncement, UnreadableResult
from api_service.parser_client.results import ResultStore
from local.valkey import Valkey
from parser_service import config as parser_config
from parser_service.dependencies import make_job_queue
from tests.support.keys import DONE, DONE_BYTES, QUEUE, RESULTS, TAKERS, result_key, taken_key
from tests.support.pipeline_steps import PipelineSteps
from tests.support.time_travel import older_keys
from tests.support.waiting import until

A_LOT = 10**9


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


def _store(client: aioredis.Redis, name: str) -> ResultStore:
    return ResultStore(client, Keys(QUEUE, RESULTS), name=name)


async def _announce(redis: aioredis.Redis, *numbers: int, size: int = 100) -> None:
    for number in numbers:
        announcement = ResultAnnouncement(id=number, token=f"{number}-token", bytes=size)
        await redis.rpush(DONE, announcement.model_dump_json())
        await redis.incrby(DONE_BYTES, size)
        await redis.set(result_key(number), "x" * size)


def _ids(announcements: list[ResultAnnouncement]) -> list[int]:
    return [announcement.id for announcement in announcements]


async def test_what_was_taken_is_no_others_until_it_is_let_go_of(raw: aioredis.Redis) -> None:
    one, other = _store(raw, "one"), _store(raw, "other")
    await _announce(raw, 1, 2, 3, 4)
    taken = await one.fill_up_taken_announcements(limit=2, max_bytes=A_LOT)
    assert _ids(taken) == [1, 2]
    assert _ids(await other.fill_up_taken_announcements(limit=9, max_bytes=A_LOT)) == [3, 4]
    again = await one.fill_up_taken_announcements(limit=9, max_bytes=A_LOT)
    assert _ids(again) == [1, 2]  # the same until then
    await one.acknowledge(taken, [1])
    assert await one.fill_up_taken_announcements(limit=9, max_bytes=A_LOT) == []
    assert await raw.exists(*(result_key(number) for number in (1, 2, 3, 4))) == 3
    assert await raw.get(DONE_BYTES) == b"200"


async def test_a_batch_is_bounded_in_bytes_but_never_empty(raw: aioredis.Redis) -> None:
    store = _store(raw, "one")
    await _announce(raw, 1, 2, 3, size=1000)
    for number in (1, 2, 3):
        taken = await store.fill_up_taken_announcements(limit=9, max_bytes=500)
        assert _ids(taken) == [number]
        await store.acknowledge(taken, [number])
    await _announce(raw, 4, 5, 6, size=1000)
    assert _ids(await store.fill_up_taken_announcements(limit=9, max_bytes=2000)) == [4, 5]


async def test_what_a_dead_taker_had_is_first_in_line_again_and_in_order(
    raw: aioredis.Redis,
) -> None:
    dead, living = _store(raw, "dead"), _store(raw, "living")
    await _announce(raw, 1, 2, 3, 4)
    await dead.fill_up_taken_announcements(limit=3, max_bytes=A_LOT)
    await older_keys(raw, 20)
    assert await living.return_announcements_of_dead_workers() == 0
    assert (
        await living.fill_up_taken_announcements(limit=0, max_bytes=A_LOT) == []
    )  # it shows that it lives
    await older_keys(raw, 20)
    assert await living.return_announcements_of_dead_workers() == 3
    assert _ids(await living.fill_up_taken_announcements(limit=9, max_bytes=A_LOT)) == [1, 2, 3, 4]
    assert await raw.zrange(TAKERS, 0, -1) == [b"living"]


async def test_a_taker_that_was_thought_dead_does_no_harm(raw: aioredis.Redis) -> None:
    slow, other = _store(raw, "slow"), _store(raw, "other")
    await _announce(raw, 1, 2)
    taken = await slow.fill_up_taken_announcements(limit=9, max_bytes=A_LOT)
    await older_keys(raw, 40)
    assert await other.return_announcements_of_dead_workers() == 2
    await slow.acknowledge(taken, [1, 2])
    assert _ids(await other.fill_up_taken_announcements(limit=9, max_bytes=A_LOT)) == [1, 2]
    assert await other.read([1, 2]) == {}
    await other.acknowledge(taken, [])
    assert not await raw.exists(DONE, DONE_BYTES)  # what was subtracted twice stays at nothing


JSON = b'{"status":"success","title":"A","token":"1-a"}'
FAILURE = b'{"status":"failure","error":"Slow.","token":"1-a"}'
PLAIN = b'{"status":"success","title":"A","html":"%s","token":"1-a"}'
QUOTES = b'<p>{"token":"1-b"}</p>'
NO_TOKEN = ""
UNREADABLE = None


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"%d\n%s<p>" % (len(JSON), JSON), "1-a"),
        (b"%d\n%s%s" % (len(JSON), JSON, QUOTES), "1-a"),
        (b"0%d\n%s<p>" % (len(JSON), JSON), "1-a"),
        (b"%d\n%s" % (len(JSON) + 9, JSON), "1-a"),
        (b'36\n{"status": "success", "title": "half"}' + QUOTES, UNREADABLE),
        (b"2\n{}" + QUOTES, UNREADABLE),
        (b"9" * 15 + b"\n" + JSON, "1-a"),
        (b"9" * 40 + b"\n" + JSON, "1-a"),
        (b"9" * 40 + b"\n" + JSON + b"x" * 9000, UNREADABLE),
        (b"7", UNREADABLE),
        (b"", NO_TOKEN),
        (b"no JSON", UNREADABLE),
        (FAILURE, "1-a"),
        (PLAIN % b"<p>", "1-a"),
        (PLAIN % (b"x" * 100_000), "1-a"),
        (PLAIN % QUOTES.replace(b'"', b'\\"'), "1-a"),
        (b'{"status":"success","title":"A","html":"<p>"}', NO_TOKEN),
        (b'{"status":"success","title":"A","html":"%s"}' % (b"x" * 100_000), NO_TOKEN),
    ],
)
async def test_the_token_of_a_stored_result_is_that_of_its_json(
    raw: aioredis.Redis, value: bytes, token: str | None
) -> None:
    await raw.set(result_key(1), value)
    store = _store(raw, "one")
    assert await store.stored_tokens([1, 2]) == ({} if token == NO_TOKEN else {1: token})
    if value:
        (result,) = (await store.read([1])).values()
        assert result.token == (token or None)
        assert isinstance(result, UnreadableResult) is (token is UNREADABLE)


async def test_tokens_are_read_of_many_results_and_of_no_page(raw: aioredis.Redis) -> None:
    store = _store(raw, "one")
    numbers = range(1, 251)
    for number in numbers:
        head = b'{"status":"success","title":"A","token":"%d-a"}' % number
        await raw.set(result_key(number), b"%d\n%s" % (len(head), head) + b"x" * 100_000)
    before = (await raw.info("stats"))["total_net_output_bytes"]
    tokens = await store.stored_tokens([*numbers, 999])
    assert tokens == {number: f"{number}-a" for number in numbers}
    after = (await raw.info("stats"))["total_net_output_bytes"]
    assert after - before < 100_000


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[str]:
    """A server that a test may fill up or make read-only."""
    server = Valkey(tmp_path, durable=False)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
async def troubled(
    own_valkey: str, settings: Settings, steps: PipelineSteps
) -> AsyncIterator[PipelineSteps]:
    """The way of jobs through a server of the test's own, with a result that is announced."""
    changed = settings.model_copy(update={"redis_url": own_valkey})
    parser_settings = parser_config.Settings(redis_url=own_valkey)
    async with (
        open_worker(changed) as context,
        aioredis.Redis.from_url(own_valkey, decode_responses=True) as redis,
        aioredis.Redis.from_url(own_valkey) as client,
    ):
        troubled = PipelineSteps(
            context=context,
            database=steps.database,
            connection=steps.connection,
            redis=redis,
            parser=make_job_queue(client, parser_settings, name="parser"),
        )
        await troubled.start()
        await troubled.finish(await troubled.take())
        yield troubled


async def _status(steps: PipelineSteps) -> str:
    return str(await steps.connection.fetchval("SELECT status FROM parse_requests"))


async def test_results_are_persisted_and_freed_where_redis_has_no_memory_left(
    troubled: PipelineSteps,
) -> None:
    await troubled.redis.config_set("maxmemory", 1)
    await troubled.persist()
    assert await _status(troubled) == "success"
    await troubled.redis.config_set("maxmemory", 0)
    assert not await troubled.redis.exists(DONE, DONE_BYTES, result_key(1))
    assert not await troubled.redis.keys(taken_key("*"))


async def test_results_wait_while_redis_is_read_only(troubled: PipelineSteps) -> None:
    await troubled.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    await troubled.persist()
    with pytest.raises(RedisError):
        await troubled.context.results.fill_up_taken_announcements(limit=1, max_bytes=A_LOT)
    assert await _status(troubled) == "processing"
    await troubled.redis.execute_command("REPLICAOF", "NO", "ONE")

    async def is_persisted() -> bool:
        await troubled.persist()
        return await _status(troubled) == "success"

    await until(is_persisted, seconds=30)


async def test_a_job_that_redis_had_no_memory_for_is_pushed_when_it_has_some(
    troubled: PipelineSteps,
) -> None:
    await troubled.persist()
    request_id = await troubled.add()
    await troubled.redis.config_set("maxmemory", 1)
    with pytest.raises(RedisError):
        await troubled.handover.hand_over_pending([request_id])
    await troubled.redis.config_set("maxmemory", 0)
    await troubled.later(6)
    await troubled.later(46)
    (raw,) = await troubled.redis.lrange(QUEUE, 0, -1)
    assert json.loads(raw)["id"] == request_id
