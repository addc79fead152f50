"""Wire the parts of this service for its two entrances: HTTP routes and the job listener."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import redis.asyncio as aioredis
from redis.backoff import NoBackoff

from parser_service.config import Settings
from parser_service.exceptions import CannotStartError
from parser_service.fetching.fetcher import Fetcher
from parser_service.fetching.places import FetchPlaces
from parser_service.fetching.tls import make_client_tls_context
from parser_service.fetching.transport import GuardedTransport
from parser_service.fetching.url_guard import UrlGuard
from parser_service.jobs.listener import WAIT_FOR_JOBS_SECONDS, Listener
from parser_service.pipeline import PagePipeline
from parser_service.redis_queue.connection import make_redis_client, ping_for_refusal_reason
from parser_service.redis_queue.host_limits import HostLimits
from parser_service.redis_queue.job_queue import JobQueue
from parser_service.redis_queue.keys import Keys
from parser_service.sandbox.pool import ParseRunner

REDIS_COMMAND_TIMEOUT_SECONDS = 5
"""Seconds for one command. `WAIT_FOR_JOBS_SECONDS`, the listener's BLPOP, must stay under it: a
BLPOP that this limit ends may have popped a job, which would be lost."""
REDIS_CONNECT_TIMEOUT_SECONDS = 3
SLOT_LEASE_MARGIN_SECONDS = 15
"""Seconds beyond a page's deadline after which a host's slot counts as forgotten."""


@dataclass(frozen=True, slots=True)
class RouteContext:
    """Hold what all requests of this process share.

    Attributes:
        places: bound the requests that fetch at a time.
        queue_timeout: seconds that a request may wait for a place and for hosts.
    """

    pipeline: PagePipeline
    host_limits: HostLimits | None
    places: FetchPlaces
    queue_timeout: float


@asynccontextmanager
async def open_route_context(settings: Settings) -> AsyncIterator[RouteContext]:
    """Open what HTTP routes need, and close it at the end.

    Raises:
        CannotStartError: Redis does not let us in.
    """
    async with open_redis(settings) as redis:
        await _raise_if_redis_refuses(redis)
        limits = make_host_limits_if_set(redis, settings)
        places = FetchPlaces(settings.fetch_concurrency, share=settings.host_fetch_share)
        async with open_pipeline(settings, limits=limits) as pipeline:
            yield RouteContext(pipeline, limits, places, settings.fetch_queue_timeout)
        if limits is not None:
            await limits.close()


@asynccontextmanager
async def open_listener(
    settings: Settings, *, name: str, block_seconds: float = WAIT_FOR_JOBS_SECONDS
) -> AsyncIterator[Listener]:
    """Open a listener with all it needs; it takes jobs once it is run.

    Args:
        settings: this process's.
        name: this parser's, unique among all that share the Redis.
        block_seconds: the longest wait of one BLPOP.

    Raises:
        ValueError: BLPOP would outlast the time limit of a command.
        CannotStartError: Redis does not let us in.
    """
    if block_seconds >= REDIS_COMMAND_TIMEOUT_SECONDS:
        raise ValueError(
            f"BLPOP must end within the {REDIS_COMMAND_TIMEOUT_SECONDS} s of a command."
        )
    async with open_redis(settings) as redis:
        await _raise_if_redis_refuses(redis)
        # Without limits hosts have lines still: for jobs beyond a host's share of the places.
        limits = make_host_limits(redis, settings)
        async with open_pipeline(settings, limits=limits) as pipeline:
            yield Listener(
                queue=make_job_queue(redis, settings, name=name),
                limits=limits,
                pipeline=pipeline,
                settings=settings,
                block_seconds=block_seconds,
            )


@asynccontextmanager
async def open_pipeline(
    settings: Settings,
    *,
    limits: HostLimits | None = None,
    socket_class: type[socket.socket] = socket.socket,
) -> AsyncIterator[PagePipeline]:
    """Open a pipeline with the process's one transport, and close it at the end.

    Args:
        settings: this process's.
        limits: keep the interval of hosts, also for redirects of robots.txt.
        socket_class: makes the sockets to sites.
    """
    guard = UrlGuard(
        allowed_networks=settings.fetch_allowed_networks,
        allowed_ports=settings.fetch_allowed_ports,
    )
    pool = ParseRunner()
    # One transport serves all jobs: it keeps no cookies, so what one site sets reaches no other.
    async with GuardedTransport(
        guard,
        connect_timeout=settings.fetch_connect_timeout,
        dns_timeout=settings.fetch_dns_timeout,
        max_header=settings.fetch_max_header,
        max_idle=settings.fetch_max_idle_connections,
        nameservers=settings.fetch_nameservers,
        ssl_context=make_client_tls_context(settings.fetch_ca_bundle),
        socket_class=socket_class,
    ) as transport:
        fetcher = Fetcher(transport=transport, guard=guard, settings=settings, limits=limits)
        yield PagePipeline(
            fetcher=fetcher,
            pool=pool,
            timeout=settings.fetch_timeout,
            max_refreshes=settings.fetch_max_redirects if settings.follow_refresh else 0,
        )
    await pool.close()


def open_redis(settings: Settings) -> aioredis.Redis:
    """Open a client that tries once and reports; its users decide whether to try again."""
    return make_redis_client(
        settings.redis_address,
        socket_timeout=REDIS_COMMAND_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_CONNECT_TIMEOUT_SECONDS,
        retry=aioredis.retry.Retry(NoBackoff(), 0),
    )


async def _raise_if_redis_refuses(redis: aioredis.Redis) -> None:
    """Raise CannotStartError if Redis answers and does not let us in."""
    if reason := await ping_for_refusal_reason(redis):
        raise CannotStartError(reason)


def make_job_queue(redis: aioredis.Redis, settings: Settings, *, name: str) -> JobQueue:
    """Make the queue that a listener works on."""
    return JobQueue(redis, name=name, keys=Keys.of(settings), result_ttl=settings.result_ttl)


def make_host_limits_if_set(redis: aioredis.Redis, settings: Settings) -> HostLimits | None:
    """Make the limits of hosts, or return None if the settings set none."""
    if not settings.host_max_concurrent and not settings.host_min_interval:
        return None
    return make_host_limits(redis, settings)


def make_host_limits(redis: aioredis.Redis, settings: Settings) -> HostLimits:
    """Make the limits and lines of hosts; without limits in the settings, only the lines."""
    return HostLimits(
        redis,
        keys=Keys.of(settings),
        max_concurrent=settings.host_max_concurrent,
        min_interval=settings.host_min_interval,
        lease=settings.fetch_timeout + SLOT_LEASE_MARGIN_SECONDS,
    )
