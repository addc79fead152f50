"""Check part by part whether the system can serve requests from end to end."""

import asyncio

from redis.exceptions import RedisError

from api_service.database import Database
from api_service.exceptions import ApiError
from api_service.operation.responses import Readiness
from api_service.parser_client.census import ALIVE_WITHIN_SECONDS, RedisCensus
from api_service.schema import NEWEST_MIGRATION, is_outdated

CHECK_TIMEOUT_SECONDS = 3
"""Seconds after which a part that does not answer counts as missing."""


class ReadinessCheck:
    """Check every part that a request needs."""

    def __init__(self, *, database: Database, census: RedisCensus) -> None:
        self._database = database
        self._census = census

    async def run(self) -> Readiness:
        """Run all checks at once; the answer names what is missing."""
        database, (redis, parser, worker) = await asyncio.gather(
            self._check_database(), self._check_redis_parsers_workers()
        )
        checks = {"database": database, "redis": redis, "parser": parser, "worker": worker}
        ready = all(state == "ok" for state in checks.values())
        return Readiness(status="ready" if ready else "not ready", checks=checks)

    async def _check_database(self) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                revision = await self._database.revision()
        except (TimeoutError, ApiError):
            return "does not answer"
        if is_outdated(revision):
            return f"at migration {revision or 'none'}, not {NEWEST_MIGRATION}"
        return "ok"

    async def _check_redis_parsers_workers(self) -> tuple[str, str, str]:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                parsers, workers = await self._census.count_alive_parsers_and_workers()
        except (TimeoutError, RedisError, OSError):
            return "does not answer", "unknown", "unknown"
        return "ok", _ok_if_any_seen(parsers), _ok_if_any_seen(workers)


def _ok_if_any_seen(count: int) -> str:
    return "ok" if count else f"none seen in the last {ALIVE_WITHIN_SECONDS} s"
