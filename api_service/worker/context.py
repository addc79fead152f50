"""The collaborators of the worker's processes, wired. It never imports HTTP."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from api_service.config import Settings
from api_service.database import Database
from api_service.endings.attempts import RetryPolicy
from api_service.endings.service import Endings
from api_service.parser_client.census import Census
from api_service.parser_client.keys import Keys
from api_service.parser_client.queues import build_parser_queues
from api_service.parser_client.results import ResultStore
from api_service.process.identity import process_name
from api_service.process.redis_connection import open_redis
from api_service.queueing.chores import Chores
from api_service.queueing.handover import Handover
from api_service.queueing.sweep import Sweep, SweepPolicy
from api_service.retention import Retention

REDIS_SECONDS = 3
"""Seconds for one Redis command."""
CONNECTIONS = 3
"""The sweep holds one while its steps open another; the results process needs one."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What the worker's processes use; one for each event loop."""

    database: Database
    handover: Handover
    endings: Endings
    retention: Retention
    sweep: Sweep
    results: ResultStore
    census: Census


@contextlib.asynccontextmanager
async def open_worker_context(settings: Settings) -> AsyncIterator[WorkerContext]:
    """Connect lazily to what the worker uses; refuse to start on an outdated schema."""
    async with contextlib.AsyncExitStack() as stack:
        database = Database(
            settings.database_url, timeout=settings.job_timeout, pool_size=CONNECTIONS
        )
        stack.push_async_callback(database.dispose)
        await database.require_newest_migration()
        redis = await stack.enter_async_context(
            open_redis(settings.redis_url, timeout=REDIS_SECONDS)
        )
        queues = build_parser_queues(redis, settings)
        handover = Handover(database=database, jobs=queues.jobs)
        endings = Endings(
            database=database,
            retries=RetryPolicy(
                max_attempts=settings.max_attempts,
                base_delay=settings.retry_delay,
                max_delay=settings.max_retry_delay,
            ),
        )
        sweep = Sweep(
            database=database,
            queues=queues,
            chores=Chores(redis, Keys.of(settings), name=process_name()),
            handover=handover,
            endings=endings,
            policy=SweepPolicy(lost_after=settings.lost_after),
        )
        yield WorkerContext(
            database=database,
            handover=handover,
            endings=endings,
            retention=Retention(
                database=database, keep=timedelta(days=settings.retention_days)
            ),
            sweep=sweep,
            results=queues.results,
            census=queues.census,
        )
