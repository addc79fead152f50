"""Faults of data in Redis, as a foreign program or an operator's mistake leaves them there."""

import asyncio
import json
from typing import Any

from redis.exceptions import RedisError

from tests.support.deployment import Deployment
from tests.support.keys import (
    CELERY_BINDING,
    CELERY_CONTROL_QUEUE,
    CELERY_QUEUE,
    CELERY_UNACKED,
    CELERY_UNACKED_INDEX,
    DONE,
    DONE_BYTES,
    ENDED_LEASES,
    HOSTS,
    LEASES,
    PARSERS,
    QUEUE,
    READY,
    TAKERS,
    WORKERS,
    result_key,
)
from tests.system.chaos.plan import Fault

LEVELS = 500
JOBS_AT_A_TIME = 5
FOREIGN_TITLE = "Foreign"
TAKE_SECONDS = 20
"""Most seconds that a fault waits for a job to harm, while the others keep jobs from flowing."""

NAMES = {
    "lists": (QUEUE, READY, DONE),
    "sets": (HOSTS, LEASES, ENDED_LEASES, TAKERS, PARSERS, WORKERS),
    "strings": (DONE_BYTES,),
    "celery": (
        *(CELERY_QUEUE, CELERY_CONTROL_QUEUE, CELERY_UNACKED, CELERY_UNACKED_INDEX),
        CELERY_BINDING,
    ),
}
"""The system's keys of fixed name, by what should stand there."""


async def take(deployment: Deployment, name: str, *, number: int) -> list[bytes]:
    """Take up to `number` messages from a list that others take from as well."""
    taken: list[bytes] = []
    end = asyncio.get_running_loop().time() + TAKE_SECONDS
    while len(taken) < number and asyncio.get_running_loop().time() < end:
        try:
            async with deployment.keys() as redis:
                # Who waits longest is served first: a parser, then this, then a parser.
                found: Any = await redis.blpop([name], timeout=1)
        except (RedisError, OSError):
            await asyncio.sleep(0.5)  # another fault has it away, or has the key retyped
            continue
        if found:
            taken.append(found[1])
    return taken


async def nest_results(deployment: Deployment, fault: Fault, jobs: list[bytes]) -> list[int]:
    """End jobs as a foreign parser whose facts are nested deep; return their requests."""
    deep = "[" * LEVELS + "]" * LEVELS
    member = fault.one_of(
        f'"metadata":{{"json_ld":[{{"x":{deep}}}]}}', f'"another":{deep}', f'"final_url":{deep}'
    )
    read = [json.loads(job) for job in jobs]
    for job in read:
        await _store(deployment, job, _page(job, member))
    return [job["id"] for job in read]


async def half_write(deployment: Deployment, fault: Fault) -> int:
    """Write the first half of what belongs there; return how many were written."""
    if fault.name == "messages":
        messages = await take(deployment, CELERY_QUEUE, number=1)
        for message in map(_half, messages):
            if fault.choice < 0.5:
                await _push(deployment, CELERY_QUEUE, [message])
            else:
                await _leave_as_taken(deployment, message)
        return len(messages)
    jobs = await take(deployment, QUEUE, number=JOBS_AT_A_TIME)
    if fault.name == "jobs":
        await _push(deployment, fault.one_of(QUEUE, READY), [_half(job) for job in jobs])
        return len(jobs)
    for job in map(json.loads, jobs):
        page = _page(job, '"metadata":{}')
        if fault.name == "results":
            await _store(deployment, job, _half(page), is_announced=fault.choice < 0.5)
        else:
            await _store(deployment, job, page, is_announced=False)
            await _push(deployment, job["reply"], [_half(_announcement(job, page))])
    return len(jobs)


async def retype(deployment: Deployment, name: str) -> None:
    """Put a value of another type under a key."""
    async with deployment.keys() as redis, redis.pipeline() as pipe:
        pipe.delete(name)
        if name in NAMES["strings"]:
            pipe.hset(name, "a", "b")
        else:
            pipe.set(name, "a string")
        await pipe.execute()


async def clear(deployment: Deployment, name: str) -> None:
    """Delete such a value, as an operator does who reads in the log that it is wrong."""
    wrong = b"hash" if name in NAMES["strings"] else b"string"
    async with deployment.keys() as redis:
        if await redis.type(name) == wrong:
            await redis.delete(name)


def _page(job: dict[str, Any], member: str) -> bytes:
    token = json.dumps(job.get("token"))
    page = f'{{"status":"success","title":"{FOREIGN_TITLE}","html":"<p>","token":{token},{member}}}'
    return page.encode()


def _half(value: bytes) -> bytes:
    return value[: len(value) // 2]


def _announcement(job: dict[str, Any], value: bytes) -> bytes:
    announcement = {"id": job["id"], "token": job.get("token"), "bytes": len(value)}
    return json.dumps(announcement).encode()


async def _store(
    deployment: Deployment, job: dict[str, Any], value: bytes, *, is_announced: bool = True
) -> None:
    async with deployment.keys() as redis, redis.pipeline() as pipe:
        pipe.set(result_key(job["id"]), value, ex=3600)
        if is_announced:
            pipe.rpush(job["reply"], _announcement(job, value))
            pipe.incrby(DONE_BYTES, len(value))
        await pipe.execute(raise_on_error=False)


async def _leave_as_taken(deployment: Deployment, message: bytes) -> None:
    """Record a message as one that a worker took long ago: it is due to be delivered again."""
    tag = "half-written"
    async with deployment.keys() as redis:
        await redis.hset(CELERY_UNACKED, tag, message)
        await redis.zadd(CELERY_UNACKED_INDEX, {tag: 1})


async def _push(deployment: Deployment, name: str, values: list[bytes]) -> None:
    if values:
        async with deployment.keys() as redis:
            await redis.rpush(name, *values)
