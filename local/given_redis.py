"""Check the Redis that `REDIS_URL` names. Apart, because few starts need what it loads."""

from redis.exceptions import RedisError

from api_service.process.redis_connection import open_redis
from api_service.redis_address import RedisAddress
from local.errors import StartError
from local.readiness import ANSWER_TIMEOUT_SECONDS


async def require_redis(address: RedisAddress) -> None:
    """Check that Redis takes commands: a wrong password is seen here and not in some log.

    Raises:
        StartError: it does not; the message has the server's reason.
    """
    client = open_redis(address, timeout=ANSWER_TIMEOUT_SECONDS)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        reason = str(error).rstrip(".")
        raise StartError(f"REDIS_URL: Redis refuses to work with it: {reason}.") from None
    finally:
        await client.aclose()
