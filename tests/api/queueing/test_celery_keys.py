"""Installations that share a Redis database do not take each other's Celery messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty

import pytest
import redis.asyncio as aioredis
from kombu import Connection
from kombu.simple import SimpleQueue

from api_service.celery_app import API_QUEUE, broker_options, celery_app
from api_service.config import Settings
from api_service.queueing.enqueue import TaskSender
from tests.support.app_client import OpenApp
from tests.support.keys import QUEUE


@contextmanager
def _connected(settings: Settings, **options: float) -> Iterator[Connection]:
    both = {**broker_options(settings), **options}
    with celery_app.connection_for_read(transport_options=both) as connection:
        yield connection


def _send(settings: Settings) -> None:
    sender = TaskSender(celery_app, timeout=5, broker_options=broker_options(settings))
    sender.send("a.task", queue=API_QUEUE)
    sender.disconnect()


@pytest.mark.parametrize("takers", [(QUEUE, "other"), ("one", "two")])
async def test_each_installation_takes_its_own_messages_only(
    redis: aioredis.Redis, redis_url: str, takers: tuple[str, str]
) -> None:
    mine, theirs = (Settings(redis_url=redis_url, task_queue=name) for name in takers)
    _send(mine)
    with _connected(theirs) as connection, pytest.raises(Empty):
        SimpleQueue(connection, API_QUEUE).get(timeout=1.5)
    with _connected(mine) as connection:
        SimpleQueue(connection, API_QUEUE).get(timeout=5).ack()


async def test_the_default_installation_keeps_the_keys_of_earlier_versions(
    redis: aioredis.Redis, redis_url: str
) -> None:
    _send(Settings(redis_url=redis_url))
    assert await redis.llen(API_QUEUE) == 1


async def test_the_keys_of_another_installation_begin_with_its_task_queue(
    redis: aioredis.Redis, redis_url: str
) -> None:
    """Also those of a message that is taken and then restored, as after a worker's death."""
    other = Settings(redis_url=redis_url, task_queue="other:tasks")
    _send(other)
    with _connected(other, visibility_timeout=0) as connection:
        queue = SimpleQueue(connection, API_QUEUE)
        queue.get(timeout=5)
        assert await redis.hlen("other:tasks:celery:unacked") == 1
        queue.channel.qos.restore_visible(interval=1)
    assert await redis.llen("other:tasks:celery:api") == 1
    keys = [str(key) for key in await redis.keys()]
    assert [key for key in keys if not key.startswith("other:tasks:celery:")] == []


async def test_metrics_count_the_messages_of_their_own_installation(
    open_api: OpenApp, redis_url: str, settings: Settings
) -> None:
    _send(settings.model_copy(update={"task_queue": "other"}))
    async with open_api(task_queue="other") as client:
        assert 'queue="api"} 1.0' in (await client.get("/metrics")).text
    async with open_api() as client:
        assert 'queue="api"} 0.0' in (await client.get("/metrics")).text
