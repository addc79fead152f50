"""Connect to Redis so that failures are those that redis-py expects.

uvloop raises RuntimeError for a write to a connection that was reset a moment ago, while
asyncio's own loop raises nothing or an OSError. redis-py passes the RuntimeError on, and code
that retries after an error of Redis would not retry after this one.
"""

from typing import Any

import redis.asyncio as aioredis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError


class _UvloopSafe:
    """Translate uvloop's errors; mixed into a connection class of redis-py."""

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        """Raise a closed transport's error as one of Redis."""
        try:
            await super().send_packed_command(*args, **kwargs)  # type: ignore[misc]
        except RuntimeError as error:
            raise RedisConnectionError(str(error)) from error

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Raise a closed transport's error as one of Redis."""
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except RuntimeError as error:
            raise RedisConnectionError(str(error)) from error


class _Connection(_UvloopSafe, aioredis.Connection):
    pass


class _TlsConnection(_UvloopSafe, aioredis.SSLConnection):
    pass


def use_uvloop_safe_connections(redis: aioredis.Redis) -> aioredis.Redis:
    """Make a client that has not connected yet use these connections."""
    pool = redis.connection_pool
    has_tls = issubclass(pool.connection_class, aioredis.SSLConnection)
    pool.connection_class = _TlsConnection if has_tls else _Connection
    return redis


def open_redis(url: str, *, timeout: float) -> aioredis.Redis:
    """Return a client that tries once and gives up after `timeout` seconds: its users retry."""
    redis = aioredis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 3),
        retry=aioredis.retry.Retry(NoBackoff(), 0),
    )
    return use_uvloop_safe_connections(redis)
