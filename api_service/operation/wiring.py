"""Make what the routes of this room use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio as aioredis

from api_service.celery_app import celery_key_prefix
from api_service.config import Settings
from api_service.database import Database
from api_service.operation.gauges import Gauges
from api_service.operation.readiness import ReadinessCheck
from api_service.parser_client.queues import ParserQueues
from api_service.process.collaborators import CollaboratorRegistry
from api_service.queueing.unfinished import UnfinishedCount


@asynccontextmanager
async def open_operation(
    settings: Settings, collaborators: CollaboratorRegistry
) -> AsyncIterator[None]:
    """Add what reads the system's state; it opens no connection of its own."""
    database = collaborators.get(Database)
    census = collaborators.get(ParserQueues).census
    collaborators.add(ReadinessCheck(database=database, census=census))
    collaborators.add(
        Gauges(
            unfinished=collaborators.get(UnfinishedCount),
            census=census,
            redis=collaborators.get(aioredis.Redis),
            limit=settings.max_queue_depth,
            celery_prefix=celery_key_prefix(settings),
        )
    )
    yield
