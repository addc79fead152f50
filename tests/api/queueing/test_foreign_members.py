"""Members, tokens and jobs of any bytes cost no other request its recovery."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext
from tests.support.keys import (
    DONE,
    ENDED_LEASES,
    HOSTS,
    LEASES,
    QUEUE,
    READY,
    TAKERS,
    taken_key,
    waiting_key,
)
from tests.support.pipeline_steps import PipelineSteps

NOT_UTF8 = b"\xff\xfe"
FAR_AWAY = 9e15


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.mark.parametrize(
    "token", [NOT_UTF8, rb"\u0000", rb"7-a\u0000b", rb"\ud800", b"7-" + NOT_UTF8]
)
async def test_a_dead_parser_is_survived_next_to_any_token(
    steps: PipelineSteps, raw: aioredis.Redis, token: bytes
) -> None:
    request_id = await steps.start()
    await raw.rpush(QUEUE, b'{"id":"x","url":"https://a.example/","token":"' + token + b'"}')
    assert len(await steps.parser.take(2)) == 2
    await steps.later(16)
    assert (await steps.later(6)).died == 1
    assert await steps.listed() == [request_id]
    assert not await raw.exists(LEASES, ENDED_LEASES)


@pytest.mark.parametrize("member", [NOT_UTF8, b"\0", b"", b"\xed\xa0\x80"])
@pytest.mark.parametrize("name", [TAKERS, HOSTS, LEASES])
async def test_lost_requests_are_found_next_to_any_member(
    steps: PipelineSteps, raw: aioredis.Redis, name: str, member: bytes
) -> None:
    request_id = await steps.start()
    await steps.pop()
    await raw.zadd(name, {member: FAR_AWAY})
    for key in (waiting_key("*"), taken_key("*")):
        await raw.rpush(key.encode().replace(b"*", member), b"\xff", b'{"id": 99}')
    assert (await steps.later(6)).suspects == 1
    assert (await steps.later(50)).lost == 1
    assert await steps.listed() == [request_id]


@pytest.mark.parametrize("item", [NOT_UTF8, b"\0", b"", b"a\nb\n{}", b"[" * 3000])
@pytest.mark.parametrize("name", [QUEUE, READY, DONE])
async def test_lost_requests_are_found_next_to_any_item(
    steps: PipelineSteps, raw: aioredis.Redis, name: str, item: bytes
) -> None:
    await steps.start()
    await steps.pop()
    await raw.rpush(name, item)
    assert (await steps.later(6)).suspects == 1
    await steps.persist()
    assert len(await steps.parser.take(9)) == (name != DONE)


async def test_announcements_of_a_taker_of_any_name_are_given_back(
    steps: PipelineSteps, jobs: WorkerContext, raw: aioredis.Redis
) -> None:
    await raw.zadd(TAKERS, {NOT_UTF8: 1})
    await raw.rpush(taken_key("*").encode().replace(b"*", NOT_UTF8), b"{}")
    assert (await steps.later(1)).reclaimed == 1
    assert not await raw.exists(TAKERS)
    assert (await jobs.census.read_depths()).results == 1
