"""The listener on a real Redis: jobs in, results out."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import redis.asyncio as aioredis

from parser_service.config import Settings
from parser_service.jobs.listener import Listener
from tests.support.keys import PARSERS, QUEUE, result_key
from tests.support.listening import listening
from tests.support.site import Site
from tests.support.waiting import until


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


OpenListener = Callable[..., contextlib.AbstractAsyncContextManager[Listener]]


@pytest.fixture
def open_listener(settings: Settings) -> OpenListener:
    return lambda **changes: listening(settings.model_copy(update=changes))


async def _wait_for(redis: aioredis.Redis, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await until(lambda: redis.get(key)))
    return found


async def test_a_job_becomes_a_result(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    url = site.page("/", "<title>A</title>")
    async with open_listener():
        await redis.rpush(QUEUE, json.dumps({"id": 7, "url": url}))
        result = await _wait_for(redis, result_key(7))
    assert (result["status"], result["title"]) == ("success", "A")
    assert result["html"] == "<title>A</title>"
    assert 3590 < await redis.ttl(result_key(7)) <= 3600


async def test_a_failed_job_says_why(redis: aioredis.Redis, open_listener: OpenListener) -> None:
    async with open_listener():
        await redis.rpush(QUEUE, json.dumps({"id": "x-1", "url": "http://10.0.0.1/"}))
        result = await _wait_for(redis, result_key("x-1"))
    assert result["status"] == "failure"
    assert result["error"] == "This address may not be fetched."
    assert result["reason"]["code"] == "blocked_address"


async def test_a_job_with_a_token_is_announced_and_others_are_not(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    url = site.page("/", "<title>A</title>")
    async with open_listener():
        await redis.rpush(QUEUE, json.dumps({"id": 1, "url": url, "reply": "done"}))
        await redis.rpush(QUEUE, json.dumps({"id": 2, "url": url, "reply": "done", "token": "t"}))
        assert (await _wait_for(redis, result_key(2)))["token"] == "t"
        await _wait_for(redis, result_key(1))
    (announced,) = [json.loads(raw) for raw in await redis.lrange("done", 0, -1)]
    size = await redis.strlen(result_key(2))
    assert announced == {"id": 2, "token": "t", "bytes": size}
    assert await redis.get("done:bytes") == str(size)


@pytest.mark.parametrize(
    "message", ["", "nonsense", "[]", '{"id": 1}', '{"url": "http://x/"}', '{"id": 1.5, "url": ""}']
)
async def test_a_bad_message_is_set_aside(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site, message: str
) -> None:
    async with open_listener():
        await redis.rpush(QUEUE, message)
        await redis.rpush(QUEUE, json.dumps({"id": 1, "url": site.page("/", "<title>A</title>")}))
        assert (await _wait_for(redis, result_key(1)))["title"] == "A"


async def test_no_more_jobs_are_taken_than_can_be_run(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    url = site.raw("/", b"", delay=1)
    async with open_listener(fetch_concurrency=2):
        await redis.rpush(QUEUE, *[json.dumps({"id": i, "url": url}) for i in range(5)])
        await until(lambda: len(site.requests) == 2)
        await asyncio.sleep(0.2)
        assert await redis.llen(QUEUE) == 3
        await redis.delete(QUEUE)


async def test_a_stop_hands_back_what_it_does_not_finish(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    quick = site.raw("/quick", b"", delay=0.3)
    slow = site.raw("/slow", b"", delay=30)
    async with open_listener(shutdown_grace=1, fetch_concurrency=2):
        await redis.rpush(QUEUE, json.dumps({"id": 1, "url": slow}))
        await redis.rpush(QUEUE, json.dumps({"id": 2, "url": quick}))
        await until(lambda: len(site.requests) == 2)
    assert [json.loads(raw)["id"] for raw in await redis.lrange(QUEUE, 0, -1)] == [1]
    assert await redis.exists(result_key(2))


async def test_a_parser_shows_that_it_lives(
    redis: aioredis.Redis, open_listener: OpenListener
) -> None:
    async with open_listener():
        await until(lambda: redis.zscore(PARSERS, "test"))


async def test_no_job_is_taken_while_too_many_results_of_a_second_producer_wait(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    url = site.page("/", f"<title>A</title>{'x' * 1000}")
    jobs = [{"id": f"s-{n}", "url": url, "token": f"t-{n}", "reply": "second"} for n in range(6)]
    await redis.rpush(QUEUE, *map(json.dumps, jobs))

    async def have_ended(more_than: int) -> bool:
        return await redis.llen("second") > more_than

    async with open_listener(fetch_concurrency=2, max_result_bytes=1500):
        await until(partial(have_ended, 1))
        await asyncio.sleep(0.5)
        held_up = await redis.llen("second")
        assert held_up in (2, 3, 4)
        assert await redis.llen(QUEUE) == 6 - held_up
        await redis.delete("second:bytes")  # they have been persisted
        await until(partial(have_ended, held_up))


@pytest.mark.parametrize("kind", ["page", None, 7, {"of": "another"}, ["page"], True, "news", ""])
async def test_a_job_whose_kind_is_page_or_no_text_or_without_a_token_is_a_page(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site, kind: Any
) -> None:
    url = site.page("/", "<title>A</title>")
    async with open_listener():
        await redis.rpush(QUEUE, json.dumps({"id": 1, "url": url, "kind": kind}))
        result = await _wait_for(redis, result_key(1))
    assert (result["title"], result["kind"]) == ("A", "page")


async def test_a_job_of_an_unknown_kind_fails_and_may_be_tried_again(
    redis: aioredis.Redis, open_listener: OpenListener, site: Site
) -> None:
    url = site.page("/", "<title>A</title>")
    job = {"id": 1, "url": url, "kind": "of the future", "token": "t", "reply": "done"}
    async with open_listener():
        await redis.rpush(QUEUE, json.dumps(job))
        result = await _wait_for(redis, result_key(1))
    assert (result["status"], result["token"]) == ("failure", "t")
    assert result["kind"] == "of the future"
    assert result["error"] == "This parser does not know jobs of this kind."
    assert (result["reason"]["code"], result["reason"]["retryable"]) == ("internal_error", True)
    assert await redis.llen("done") == 1
    assert not site.requests
