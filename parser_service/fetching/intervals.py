"""Keep requests to a host apart, whatever they are for: robots.txt, redirects, pages.

Where Redis is unreachable, the interval is not kept, like the other limits of hosts.
"""

import asyncio

import structlog
from redis.exceptions import RedisError

from parser_service.redis_queue.host_limits import HostLimits

NEAR_SECONDS = 1.0
"""Seconds to the next moment of a host for which a page keeps its place and its slot."""
HANG_SECONDS = 1.5
"""Seconds after which a page waits for Redis no longer: TimeoutError is an OSError."""

log = structlog.get_logger()


async def begin_soon(limits: HostLimits, host: str) -> bool:
    """Wait for the next moment at which a host may get a request, if it is near.

    Return False if it is not: the request may not be sent yet.
    """
    try:
        async with asyncio.timeout(HANG_SECONDS):
            pause = await limits.begin(host, longest=NEAR_SECONDS)
    except (RedisError, OSError) as error:
        log.warning("interval not kept: host limits unavailable", error=repr(error))
        return True
    if pause:
        await asyncio.sleep(pause)
    return pause is not None


async def begin_at_last(limits: HostLimits | None, host: str) -> None:
    """Wait for the next moment at which a host may get a request, however far it is."""
    if limits is None or not limits.has_interval:
        return
    while not await begin_soon(limits, host):  # noqa: ASYNC110 - the moment is kept in Redis
        await asyncio.sleep(NEAR_SECONDS / 2)
