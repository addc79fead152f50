"""Publishing, on a real Redis: one message for one request, one for all that came meanwhile."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as aioredis
from kombu.exceptions import EncodeError

from api_service.celery_app import API_QUEUE, broker_options, celery_app
from api_service.config import Settings
from api_service.queueing.enqueue import Publisher, TaskSender


def _options(url: str) -> dict[str, Any]:
    return broker_options(Settings(redis_url=url))


@pytest.fixture
async def publisher(redis_url: str) -> AsyncIterator[Publisher]:
    opened = Publisher(celery_app, timeout=5, broker_options=_options(redis_url))
    yield opened
    await opened.close()


async def _messages(redis: aioredis.Redis) -> list[tuple[str, Any, Any]]:
    found = []
    for raw in reversed(await redis.lrange(API_QUEUE, 0, -1)):
        message = json.loads(raw)
        arguments = json.loads(base64.b64decode(message["body"]))[0]
        headers = message["headers"]
        traces = headers.get("trace_ids", headers.get("trace_id"))
        found.append((headers["task"], arguments, traces))
    return found


async def test_a_lone_request_has_a_message_with_its_trace(
    publisher: Publisher, redis: aioredis.Redis
) -> None:
    assert await publisher.publish_request(1, "https://a.example/", "trace")
    assert await _messages(redis) == [("api.parse_url", [1, "https://a.example/"], "trace")]


async def test_requests_that_come_meanwhile_share_a_message(
    publisher: Publisher, redis: aioredis.Redis
) -> None:
    sent = await asyncio.gather(*(publisher.publish_request(n, "u", None) for n in range(30)))
    assert all(sent)
    messages = await _messages(redis)
    assert len(messages) < 30
    ids = [
        number
        for task, arguments, _ in messages
        for number in (arguments[0] if task == "api.parse_urls" else arguments[:1])
    ]
    assert ids == list(range(30))


async def test_each_request_of_a_shared_message_keeps_its_trace(
    publisher: Publisher, redis: aioredis.Redis
) -> None:
    traces = {number: f"trace-{number}" if number % 3 else None for number in range(30)}
    await asyncio.gather(*(publisher.publish_request(n, "u", trace) for n, trace in traces.items()))
    found: dict[int, str | None] = {}
    for task, arguments, trace in await _messages(redis):
        if task == "api.parse_urls":
            assert len(arguments) == 1  # all that a worker of an older version knows
            found.update(zip(arguments[0], trace, strict=True))
        else:
            found[arguments[0]] = trace
    assert found == traces


async def test_what_cannot_be_sent_is_reported_and_does_not_raise(unused_tcp_port: int) -> None:
    nowhere = f"redis://127.0.0.1:{unused_tcp_port}/0"
    publisher = Publisher(celery_app, timeout=0.5, broker_options=_options(nowhere))
    assert not await publisher.publish_request(1, "https://a.example/", None)
    await publisher.close()


async def test_a_task_of_a_capability_has_its_arguments_queue_and_trace(
    publisher: Publisher, redis: aioredis.Redis
) -> None:
    sent = await asyncio.gather(
        *(publisher.send("it.do", [n], trace_id=f"trace-{n}") for n in range(3)),
        publisher.publish_request(9, "https://a.example/", None),
    )
    assert all(sent)
    messages = await _messages(redis)
    assert [message for message in messages if message[0] == "it.do"] == [
        ("it.do", [n], f"trace-{n}") for n in range(3)
    ]
    assert ("api.parse_url", [9, "https://a.example/"], None) in messages
    assert await publisher.send("it.do", queue="others")
    assert await redis.llen("others") == 1


async def test_a_task_that_cannot_be_sent_takes_no_other_along(
    publisher: Publisher, redis: aioredis.Redis
) -> None:
    sent = await asyncio.gather(
        publisher.send("it.do", [object()]),
        publisher.send("it.do", [1]),
        publisher.publish_request(9, "https://a.example/", None),
    )
    assert list(sent) == [False, True, True]
    assert len(await _messages(redis)) == 2


async def test_sending_a_task_never_blocks_the_event_loop() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        publisher = Publisher(
            celery_app, timeout=0.5, broker_options=_options(f"redis://127.0.0.1:{port}/0")
        )
        sending = asyncio.create_task(publisher.send("it.do"))
        turns = 0
        while not sending.done():
            turns += 1
            await asyncio.sleep(0.01)
        assert turns > 20
        assert not await sending
        await publisher.close()


async def test_after_an_error_the_next_task_goes_over_another_connection(
    redis: aioredis.Redis, redis_url: str
) -> None:
    sender = TaskSender(celery_app, timeout=5, broker_options=_options(redis_url))
    sender.send("it.do", queue=API_QUEUE, args=[1])
    sender.send("it.do", queue=API_QUEUE, args=[2])
    before = sender._connection
    with pytest.raises(EncodeError):
        sender.send("it.do", queue=API_QUEUE, args=[object()])
    assert before is not None
    assert not before.connected
    sender.send("it.do", queue=API_QUEUE, args=[3])
    assert sender._connection is not before
    assert [arguments for _, arguments, _ in await _messages(redis)] == [[1], [2], [3]]
    sender.disconnect()
