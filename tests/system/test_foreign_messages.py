"""Whatever stands among Celery's messages costs its own message only, and never the worker."""

import asyncio
import base64
import json
import signal
from collections.abc import AsyncIterator
from time import time

import pytest
import pytest_asyncio
import redis.asyncio as aioredis

from tests.support import invariants
from tests.support.deployment import Deployment, deployed
from tests.support.keys import (
    CELERY_CONTROL_QUEUE,
    CELERY_QUEUE,
    CELERY_UNACKED,
    CELERY_UNACKED_INDEX,
)
from tests.support.load import Load
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHERS: tuple[object, ...] = (None, 5, "text", [], {})
LONG_AGO = 3600
"""Seconds since a worker took a message: it is due to be delivered again."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    quick = {"LOST_AFTER": "6", "FETCH_TIMEOUT": "5", "RETRY_DELAY": "0.5"}
    async with deployed(tmp_path_factory.mktemp("messages"), **quick) as opened:
        yield opened


async def _real_message(deployment: Deployment, load: Load, redis: aioredis.Redis) -> bytes:
    """Return a message as the API publishes it."""
    worker = deployment.system.part("celery")
    worker.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(2)  # what it was waiting for in Redis, it waits for no longer
        await load.submit(1)
        found = await until(lambda: redis.lrange(CELERY_QUEUE, 0, -1))
    finally:
        worker.send_signal(signal.SIGCONT)
    raw: bytes = found[0]
    return raw


def _foreign(real: bytes) -> list[bytes]:
    """Return what may stand in its place."""
    message = json.loads(real)
    variants: list[object] = [{}, [], 5, None, "text"]
    for name in message:
        rest = {key: value for key, value in message.items() if key != name}
        variants += [rest, *(rest | {name: other} for other in OTHERS)]
    for outer in ("headers", "properties"):
        for name in message[outer]:
            inner = {key: value for key, value in message[outer].items() if key != name}
            variants += [message | {outer: inner}]
            variants += [message | {outer: inner | {name: other}} for other in OTHERS]
    for body in ("[]", "5", "[[],{},{}]", '[["x"],{},{}]', '[[[1,"x"]],{},{}]', "[" * 2000, "\0"):
        variants += [message | {"body": base64.b64encode(body.encode()).decode()}]
    half = real[: len(real) // 2]
    return [half, b"", b"\xff\xfe", b"[" * 100_000, *(json.dumps(v).encode() for v in variants)]


@pytest.mark.parametrize("queue", [CELERY_QUEUE, CELERY_CONTROL_QUEUE])
async def test_a_message_of_any_kind_ends_no_worker(
    deployment: Deployment, load: Load, queue: str
) -> None:
    async with deployment.keys() as redis:
        real = await _real_message(deployment, load, redis)
        for foreign in _foreign(real):
            await redis.lpush(queue, foreign)
        await load.submit(10)

        async def is_over() -> bool:
            return not await redis.exists(queue)

        await until(is_over, seconds=30)
    await invariants.all_hold(deployment, load.ids)


async def test_a_half_written_taken_message_ends_no_worker_and_holds_up_no_other(
    deployment: Deployment, load: Load
) -> None:
    async with deployment.keys() as redis:
        real = await _real_message(deployment, load, redis)
        good = json.dumps([json.loads(real), "", CELERY_QUEUE]).encode()
        foreign = [good[: len(good) // 2], b"", b"5", b"\xff", b"[]", b"[5,5,5]", b"[" * 100_000]
        tags = {f"foreign {number}": value for number, value in enumerate(foreign)}
        for tag, value in tags.items():
            await redis.hset(CELERY_UNACKED, tag, value)
            await redis.zadd(CELERY_UNACKED_INDEX, {tag: time() - LONG_AGO})

        async def are_gone() -> bool:
            taken = [await redis.hexists(CELERY_UNACKED, tag) for tag in tags]
            dated = [await redis.zscore(CELERY_UNACKED_INDEX, tag) for tag in tags]
            return not any(taken) and dated == [None] * len(tags)

        await until(are_gone, seconds=30)
        await load.submit(10)
    await invariants.all_hold(deployment, load.ids)
