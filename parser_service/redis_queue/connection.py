"""Open connections to Redis whose errors redis-py expects.

uvloop raises RuntimeError for a write to a connection that was reset a moment ago; asyncio's
own loop raises nothing or an OSError. redis-py passes the RuntimeError on, and callers that try
again after an error of Redis would not try again after this one.
"""

from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError


class _UvloopSafe:
    """Mix into a connection of redis-py."""

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        """Translate the error of a closed transport into one of Redis."""
        try:
            await super().send_packed_command(*args, **kwargs)  # type: ignore[misc]
        except RuntimeError as error:
            raise RedisConnectionError(str(error)) from error

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Translate the error of a closed transport into one of Redis."""
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except RuntimeError as error:
            raise RedisConnectionError(str(error)) from error


class _Connection(_UvloopSafe, aioredis.Connection):
    pass


class _TlsConnection(_UvloopSafe, aioredis.SSLConnection):
    pass


def use_uvloop_safe_connections(redis: aioredis.Redis) -> aioredis.Redis:
    """Make a client that has not connected yet use such connections."""
    pool = redis.connection_pool
    has_tls = issubclass(pool.connection_class, aioredis.SSLConnection)
    pool.connection_class = _TlsConnection if has_tls else _Connection
    return redis
