"""Provide an API with a database and a Redis of the test's own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext, open_worker
from api_service.config import Settings
from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.main import create_app
from parser_service import config as parser_config
from parser_service.dependencies import make_job_queue
from parser_service.redis_queue.job_queue import JobQueue
from tests.support.app_client import AppClient, OpenApp, open_app
from tests.support.pipeline_steps import PipelineSteps
from tests.support.servers import dsn
from tests.support.site import Site


@pytest.fixture
def settings(database_url: str, redis_url: str, site: Site) -> Settings:
    """Let the test's site answer in place of the parser's HTTP side."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        parser_url=site.url("").rstrip("/"),
        api_host="127.0.0.1",
        parser_timeout=2,
        database_timeout=2,
        publish_timeout=0.5,
    )


@pytest.fixture
def open_api(settings: Settings) -> OpenApp:
    """Open the API with the test's settings, some of them changed by keyword."""
    return lambda **changes: open_app(create_app(settings.model_copy(update=changes)))


@pytest.fixture
async def client(open_api: OpenApp) -> AsyncIterator[AppClient]:
    async with open_api() as opened:
        yield opened


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(read_database_url(database_url), timeout=5)
    yield opened
    await opened.dispose()


@pytest.fixture
async def jobs(settings: Settings) -> AsyncIterator[WorkerContext]:
    async with open_worker(settings) as context:
        yield context


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(dsn(database_url))
    yield opened
    await opened.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
async def parser(redis_url: str) -> AsyncIterator[JobQueue]:
    """Provide the real parser's queue: the test takes and ends jobs, without a page."""
    async with aioredis.Redis.from_url(redis_url) as client:
        yield make_job_queue(client, parser_config.Settings(redis_url=redis_url), name="parser")


@pytest.fixture
def steps(
    jobs: WorkerContext,
    database: Database,
    connection: asyncpg.Connection,
    redis: aioredis.Redis,
    parser: JobQueue,
) -> PipelineSteps:
    return PipelineSteps(
        context=jobs, database=database, connection=connection, redis=redis, parser=parser
    )


@pytest.fixture
def end(jobs: WorkerContext) -> Callable[[int, Any], Awaitable[None]]:
    """End a request with a result, as worker and parser would."""

    async def ended(request_id: int, result: Any) -> None:
        await jobs.handover.hand_over_pending([request_id])
        await jobs.endings.record({request_id: result})

    return ended
