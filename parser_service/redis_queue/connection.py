"""Open connections to Redis whose errors redis-py expects.

uvloop raises RuntimeError for a write to a connection that was reset a moment ago; asyncio's
own loop raises nothing or an OSError. redis-py passes the RuntimeError on, and callers that try
again after an error of Redis would not try again after this one.
"""

from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError

from parser_service.redis_address import RedisAddress


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


class _UnixConnection(_UvloopSafe, aioredis.UnixDomainSocketConnection):
    pass


def open_client(address: RedisAddress, **options: Any) -> aioredis.Redis:
    """Return a client of these connections, which connects when it is first used."""
    classes = {"tcp": _Connection, "tls": _TlsConnection, "unix": _UnixConnection}
    pool = aioredis.ConnectionPool(
        connection_class=classes[address.medium], **{**address.options, **options}
    )
    return aioredis.Redis.from_pool(pool)
