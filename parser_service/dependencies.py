"""How this service connects to Redis, and what it makes of its settings there."""

import redis.asyncio as aioredis
from redis.backoff import NoBackoff

from parser_service.config import Settings
from parser_service.redis_queue.connection import use_uvloop_safe_connections
from parser_service.redis_queue.host_limits import HostLimits, ready_list
from parser_service.redis_queue.job_queue import JobQueue

COMMAND_SECONDS = 5
"""Seconds for one command; a blocking one must be shorter."""
CONNECT_SECONDS = 3
LEASE_MARGIN = 15
"""Seconds beyond a page's deadline after which a host's slot is taken to be forgotten."""


def open_redis(settings: Settings) -> aioredis.Redis:
    """A client that tries once and reports: its users are the ones that try again."""
    redis = aioredis.Redis.from_url(
        settings.redis_url,
        socket_timeout=COMMAND_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=aioredis.retry.Retry(NoBackoff(), 0),
    )
    return use_uvloop_safe_connections(redis)


def task_queue(redis: aioredis.Redis, settings: Settings, *, name: str) -> JobQueue:
    """The lists that a listener works on."""
    return JobQueue(
        redis,
        name=name,
        task_queue=settings.task_queue,
        ready_list=ready_list(settings.task_queue),
        result_prefix=settings.result_prefix,
        result_ttl=settings.result_ttl,
    )


def host_limits(redis: aioredis.Redis, settings: Settings) -> HostLimits | None:
    """The limits of hosts, or None where the settings set none."""
    if not settings.host_max_concurrent and not settings.host_min_interval:
        return None
    return HostLimits(
        redis,
        prefix=settings.task_queue,
        max_concurrent=settings.host_max_concurrent or 1_000_000,
        min_interval=settings.host_min_interval,
        lease=settings.fetch_timeout + LEASE_MARGIN,
    )
