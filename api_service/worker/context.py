"""What the worker's processes use, wired together. It knows nothing of HTTP, nor imports it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from api_service.config import Settings
from api_service.database import Database
from api_service.endings.service import JobService
from api_service.parser_client.census import Census
from api_service.parser_client.keys import Keys
from api_service.parser_client.queues import build_parser_queues
from api_service.parser_client.results import ResultStore
from api_service.process.identity import process_name
from api_service.process.redis_connection import open_redis
from api_service.queueing.chores import Chores
from api_service.queueing.sweep import Sweep, SweepPolicy
from api_service.repository import RetryPolicy

T = TypeVar("T")

REDIS_SECONDS = 3
"""Seconds for one Redis command."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What the worker's processes use; one for each event loop."""

    jobs: JobService
    results: ResultStore
    census: Census
    sweep: Sweep


@contextlib.asynccontextmanager
async def open_worker_context(settings: Settings) -> AsyncIterator[WorkerContext]:
    """Connect lazily to what the worker uses; refuse to start on an outdated schema."""
    async with contextlib.AsyncExitStack() as stack:
        database = Database(settings.database_url, timeout=settings.job_timeout, pool_size=3)
        stack.push_async_callback(database.dispose)
        await database.require_newest_migration()
        redis = await stack.enter_async_context(
            open_redis(settings.redis_url, timeout=REDIS_SECONDS)
        )
        queues = build_parser_queues(redis, settings)
        retries = RetryPolicy(
            max_attempts=settings.max_attempts,
            base_delay=settings.retry_delay,
            max_delay=settings.max_retry_delay,
        )
        jobs = JobService(
            database=database,
            job_list=queues.jobs,
            retries=retries,
            retention=timedelta(days=settings.retention_days),
        )
        sweep = Sweep(
            database=database,
            queues=queues,
            chores=Chores(redis, Keys.of(settings), name=process_name()),
            jobs=jobs,
            retries=retries,
            policy=SweepPolicy(lost_after=settings.lost_after),
        )
        yield WorkerContext(jobs=jobs, results=queues.results, census=queues.census, sweep=sweep)


class TaskRunner:
    """Runs coroutines for Celery's synchronous tasks, all on one event loop of this process.

    A database engine belongs to one loop, so the loop is made once and kept.
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._stack = contextlib.AsyncExitStack()
        self._context: WorkerContext | None = None

    def open(self) -> None:
        """Make the loop and what tasks use on it.

        Raises:
            SchemaOutdatedError, DatabaseUnavailableError: the worker cannot start.
        """
        self._runner = asyncio.Runner()
        opening = self._stack.enter_async_context(open_worker_context(Settings.load()))
        self._context = self._runner.run(_await(opening))

    def run(self, call: Callable[[WorkerContext], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function on the process's context, to its end."""
        if self._runner is None or self._context is None:
            raise RuntimeError("the worker has not been initialised")
        return self._runner.run(call(self._context))

    def close(self) -> None:
        """Disconnect and end the loop."""
        if self._runner is not None:
            self._runner.run(self._stack.aclose())
            self._runner.close()
            self._runner = None


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable
