"""Connect to Redis so that failures are those that redis-py expects.

uvloop raises RuntimeError for a write to a connection that was reset a moment ago, while
asyncio's own loop raises nothing or an OSError. redis-py passes the RuntimeError on, and code
that retries after an error of Redis would not retry after this one.
"""

from typing import Any

import redis.asyncio as aioredis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from api_service.redis_address import RedisAddress


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


class _UnixConnection(_UvloopSafe, aioredis.UnixDomainSocketConnection):
    pass


def open_client(address: RedisAddress, **options: Any) -> aioredis.Redis:
    """Return a client of these connections, which connects when it is first used."""
    classes = {"tcp": _Connection, "tls": _TlsConnection, "unix": _UnixConnection}
    pool = aioredis.ConnectionPool(
        connection_class=classes[address.medium], **{**address.options, **options}
    )
    return aioredis.Redis.from_pool(pool)


def open_redis(address: RedisAddress, *, timeout: float) -> aioredis.Redis:
    """Return a client that tries once and gives up after `timeout` seconds: its users retry."""
    return open_client(
        address,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 3),
        retry=aioredis.retry.Retry(NoBackoff(), 0),
    )
