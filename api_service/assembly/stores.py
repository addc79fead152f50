"""Connect to PostgreSQL and Redis, which every process needs.

This module imports no web framework and no HTTP client, so that workers can use it as well.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import redis.asyncio as aioredis

from api_service.config import Settings
from api_service.database import Database
from api_service.parser_client.queues import ParserQueues, build_parser_queues
from api_service.process.redis_connection import open_redis, raise_if_redis_refuses

REDIS_TIMEOUT_SECONDS = 3
"""Seconds for one Redis command."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Hold one event loop's connections to PostgreSQL and Redis."""

    database: Database
    redis: aioredis.Redis
    queues: ParserQueues


@asynccontextmanager
async def open_stores(
    settings: Settings, *, transaction_seconds: float, pool_size: int = 10
) -> AsyncIterator[Stores]:
    """Connect to PostgreSQL, and to Redis if it answers.

    Args:
        settings: of this process.
        transaction_seconds: for one transaction, waiting for a connection included.
        pool_size: connections to PostgreSQL.

    Raises:
        SchemaOutdatedError: the database lacks a migration.
        RedisRefusedError: Redis does not let us in.
        DatabaseUnavailableError: the database does not answer.
    """
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_address, timeout=transaction_seconds, pool_size=pool_size
        )
        stack.push_async_callback(database.dispose)
        await database.wait_and_require_usable()
        redis = await stack.enter_async_context(
            open_redis(settings.redis_address, timeout=REDIS_TIMEOUT_SECONDS)
        )
        await raise_if_redis_refuses(redis)
        yield Stores(database, redis, build_parser_queues(redis, settings))
