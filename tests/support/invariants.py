"""Check what must hold after every fault, in PostgreSQL, Redis and the processes themselves.

1. Within 60 s of the fault's end each request that was answered with 202 has ended, is being
   fetched or is queued again; and all of them end.
2. Each has exactly one final status, and only legal moves on the way to it.
3. No process died that was not killed, and the only 5xx answers are declared 503s.
4. No process connected to an address outside the allowed networks.
5. The lists and Celery's unacknowledged set are empty at the end.
"""

import asyncio
import base64
import json
import re
from collections.abc import Collection, Iterable
from time import monotonic
from typing import Any

import psutil
import redis.asyncio as aioredis

from tests.support.deployment import Deployment
from tests.support.keys import (
    CELERY_QUEUE,
    CELERY_UNACKED,
    DONE,
    DONE_BYTES,
    ENDED_LEASES,
    HOSTS,
    LEASES,
    QUEUE,
    READY,
    result_key,
    taken_key,
    waiting_key,
)
from tests.support.waiting import until

RECOVERY_SECONDS = 60
END_SECONDS = 120
"""For queued requests to end, on a machine that is busy with other tests."""

PARSE = ("api.parse_url", "api.parse_urls")
_TOKEN = re.compile(rb'\\*"token\\*":\s*\\*"([^"\\]+)')


async def all_hold(deployment: Deployment, ids: Collection[int]) -> float:
    """Check all five after the fault, and return the seconds that recovery took."""
    seconds = await are_accounted_for(deployment, ids)
    started = monotonic()
    await have_ended(deployment, ids)
    ended = monotonic()
    await nothing_is_left(deployment)
    print(
        f"accounted for after {seconds:.1f} s, ended {ended - started:.1f} s later, "
        f"cleared up {monotonic() - ended:.1f} s later"
    )
    assert not await deployment.ledger.breaches(ids)
    await no_service_died(deployment)
    only_loopback(deployment)
    return seconds


async def are_accounted_for(deployment: Deployment, ids: Collection[int]) -> float:
    """Wait until each request has ended, is leased or queued; return the seconds that took."""
    started = monotonic()
    while missing := await unaccounted(deployment, ids):
        waited = monotonic() - started
        assert waited < RECOVERY_SECONDS, f"no trace of requests {sorted(missing)[:20]}"
        await asyncio.sleep(0.2)
    return monotonic() - started


async def have_ended(
    deployment: Deployment, ids: Collection[int], *, seconds: float = END_SECONDS
) -> None:
    """Wait until all requests have ended."""

    async def unfinished() -> list[int]:
        async with deployment.database() as connection:
            rows = await connection.fetch(
                "SELECT id FROM parse_requests WHERE status IN ('pending', 'processing')"
            )
            stored = await connection.fetchval(
                "SELECT count(*) FROM parse_requests WHERE id = ANY($1)", list(ids)
            )
        assert stored == len(set(ids)), "an accepted row was deleted"
        return [row["id"] for row in rows]

    end = monotonic() + seconds
    while left := await unfinished():
        assert monotonic() < end, f"not ended: {left[:20]}"
        await asyncio.sleep(0.2)


async def unaccounted(deployment: Deployment, ids: Collection[int]) -> set[int]:
    """Return the requests that have not ended and that Redis has lost."""
    async with deployment.database() as connection:
        rows = await connection.fetch(
            "SELECT id, status, token, next_attempt_at FROM parse_requests WHERE id = ANY($1)",
            list(ids),
        )
    missing = set(ids) - {row["id"] for row in rows}
    pending = {row["id"] for row in rows if row["status"] == "pending"}
    pushed = {
        row["token"]: row["id"]
        for row in rows
        if row["status"] == "processing" and row["next_attempt_at"] is None
    }
    if pending or pushed:
        async with deployment.keys() as redis:
            missing |= pending - await _published(redis)
            in_redis = await _tokens_in_redis(redis)
        missing |= {request_id for token, request_id in pushed.items() if token not in in_redis}
    return missing


async def _published(redis: aioredis.Redis) -> set[int]:
    """Return the requests for which Celery has a message, taken by a worker or not."""
    waiting = [_read(raw) for raw in await redis.lrange(CELERY_QUEUE, 0, -1)]
    taken = [_read(raw) for raw in await redis.hvals(CELERY_UNACKED)]
    ids = set()
    for message in [*waiting, *(message for message, *_ in filter(None, taken))]:
        if message and message["headers"]["task"] in PARSE:
            (first, *_), *_ = json.loads(base64.b64decode(message["body"]))
            ids |= set(first) if isinstance(first, list) else {first}
    return ids


async def _tokens_in_redis(redis: aioredis.Redis) -> set[str]:
    """Return the tokens of jobs that are on a list, leased, or announced with a stored result."""
    seconds, micros = await redis.time()
    leased = await redis.zrangebyscore(LEASES, seconds * 1000 + micros // 1000, "+inf")
    hosts = [key async for key in redis.scan_iter(waiting_key("*"))]
    jobs = [raw for name in (QUEUE, READY, *hosts) for raw in await _all(redis, name)]
    takers = [key async for key in redis.scan_iter(taken_key("*"))]
    announced = [raw for name in (DONE, *takers) for raw in await _all(redis, name)]
    read = [(raw, _read(raw)) for raw in announced]
    stored = [raw for raw, it in read if it and await redis.exists(result_key(it["id"]))]
    found = {token.decode() for token in leased if isinstance(token, bytes)}
    return found | {token[1].decode() for raw in [*jobs, *stored] if (token := _TOKEN.search(raw))}


def _read(raw: bytes | str) -> Any:
    """Read a message; None for what a fault has left there instead of one."""
    try:
        return json.loads(raw)
    except ValueError:
        return None


async def _all(redis: aioredis.Redis, name: str | bytes) -> Iterable[bytes]:
    return await redis.lrange(name, 0, -1)  # type: ignore[return-value]


async def nothing_is_left(deployment: Deployment) -> None:
    """Wait until Redis holds no job, result, lease or message of a request."""

    async def left() -> list[bytes]:
        async with deployment.keys() as redis:
            # Expired leases count: they are traces of jobs.
            names = (QUEUE, READY, DONE, LEASES, ENDED_LEASES, HOSTS, DONE_BYTES)
            found = [name.encode() for name in names if await redis.exists(name)]
            for pattern in (taken_key("*"), waiting_key("*"), result_key("*")):
                found += [key async for key in redis.scan_iter(pattern)]
            found += [b"api %d" % request_id for request_id in await _published(redis)]
        return found

    # Celery returns the message of a killed worker to its queue after a minute.
    end = monotonic() + 90
    while found := await left():
        assert monotonic() < end, f"left in Redis: {found[:20]}"
        await asyncio.sleep(0.2)


async def no_service_died(deployment: Deployment) -> None:
    """Check that services ended as often as the test ended them, and that all run."""
    system = deployment.system
    await until(lambda: system.ended().total() >= system.ended_on_purpose.total(), seconds=30)
    assert system.ended() == system.ended_on_purpose, system.output()
    assert deployment.postgres.is_running()
    assert deployment.redis.is_running()
    for service in ("api", "parser", "worker", "beat"):
        assert "Traceback (most recent call last)" not in system.log(service), service


def only_loopback(deployment: Deployment) -> None:
    """Check that no process of the system is connected to another machine."""
    for process in deployment.system.supervisor.children(recursive=True):
        try:
            connections = process.net_connections()
        except psutil.NoSuchProcess:
            continue
        for connection in connections:
            assert not connection.raddr or connection.raddr.ip.startswith("127."), connection
