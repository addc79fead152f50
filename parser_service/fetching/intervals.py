"""Keep requests to a host apart, whatever they are for: robots.txt, redirects, pages.

Where Redis is unreachable, the interval is not kept, like the other limits of hosts.
"""

import asyncio

import structlog
from redis.exceptions import RedisError

from parser_service.redis_queue.host_limits import HostLimits

MAX_WAIT_WITH_SLOT_SECONDS = 1.0
"""Seconds to the next moment of a host for which a page keeps its place and its slot."""
REDIS_TIMEOUT_SECONDS = 1.5
"""Seconds after which a page waits for Redis no longer: TimeoutError is an OSError."""

log = structlog.get_logger()


async def wait_and_take_near_request_time(limits: HostLimits, host: str) -> bool:
    """Take the next moment at which a host may get a request, if it is near, and wait for it.

    Return False if it is not: the request may not be sent yet.
    """
    try:
        async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
            pause = await limits.reserve_request_time(host, max_wait=MAX_WAIT_WITH_SLOT_SECONDS)
    except (RedisError, OSError) as error:
        log.warning("interval not kept: host limits unavailable", error=repr(error))
        return True
    if pause:
        await asyncio.sleep(pause)
    return pause is not None


async def wait_and_take_request_time(limits: HostLimits | None, host: str) -> None:
    """Take the next moment at which a host may get a request, and wait for it."""
    if limits is None or not limits.has_interval:
        return
    while not await wait_and_take_near_request_time(limits, host):  # noqa: ASYNC110 - the moment is kept in Redis
        await asyncio.sleep(MAX_WAIT_WITH_SLOT_SECONDS / 2)
