"""Make the classes that share one deployment's lists and keys in Redis."""

from dataclasses import dataclass

import redis.asyncio as aioredis

from api_service.config import Settings
from api_service.parser_client.census import RedisCensus
from api_service.parser_client.jobs import JobPusher
from api_service.parser_client.keys import Keys
from api_service.parser_client.leases import Leases
from api_service.parser_client.results import ResultStore
from api_service.process.identity import process_name


@dataclass(frozen=True, slots=True)
class ParserQueues:
    """Hold the classes on one Redis client; pass each only to a class that needs it."""

    jobs: JobPusher
    results: ResultStore
    leases: Leases
    census: RedisCensus


def build_parser_queues(redis: aioredis.Redis, settings: Settings) -> ParserQueues:
    """Make the classes on one client, under the name of this process."""
    keys = Keys.of(settings)
    name = process_name()
    return ParserQueues(
        jobs=JobPusher(redis, keys),
        results=ResultStore(redis, keys, name=name, largest=settings.largest_result_bytes),
        leases=Leases(redis, keys),
        census=RedisCensus(redis, keys, name=name),
    )
