"""Open connections to Redis whose errors redis-py expects.

uvloop raises RuntimeError for a write to a connection that was reset a moment ago; asyncio's
own loop raises nothing or an OSError. redis-py passes the RuntimeError on, and callers that try
again after an error of Redis would not try again after this one.
"""

from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import (
    AuthenticationError,
    MasterDownError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from parser_service.redis_address import RedisAddress

_PASSING_STATES = ("MISCONF ", "BUSY ")
"""What begins the answers of a Redis that refuses every command, and may take it later."""


class _UvloopSafe:
    """Mix into a connection of redis-py: its ConnectionError replaces uvloop's RuntimeError."""

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


def make_redis_client(address: RedisAddress, **options: Any) -> aioredis.Redis:
    """Return a client of these connections, which connects when it is first used."""
    classes = {"tcp": _Connection, "tls": _TlsConnection, "unix": _UnixConnection}
    pool = aioredis.ConnectionPool(
        connection_class=classes[address.medium], **{**address.options, **options}
    )
    return aioredis.Redis.from_pool(pool)


async def ping_for_refusal_reason(redis: aioredis.Redis) -> str | None:
    """Return why Redis refuses to let us in; None if it does let us in, or does not answer.

    A wrong password does not pass by itself, while a server out of reach may come back, and one
    whose disk is full or whose script runs long refuses even PING for a while.
    """
    try:
        await redis.ping()
    except (NoPermissionError, MasterDownError):
        return None  # it knows us, and only forbids PING
    except (AuthenticationError, ResponseError) as error:
        if str(error).startswith(_PASSING_STATES):
            return None
        reason = str(error).rstrip(".")
        return f"REDIS_URL: Redis refuses the connection: {reason}."
    except (RedisError, OSError):
        return None
    return None
