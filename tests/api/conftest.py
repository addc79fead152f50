"""An API with a database and a Redis of the test's own."""

from collections.abc import AsyncIterator

import httpx
import pytest

from api_service.celery_app import celery_app
from api_service.config import Settings
from api_service.database import Database
from api_service.job_context import JobContext, open_job_context
from api_service.main import create_app
from tests.support.site import Site


@pytest.fixture
def settings(database_url: str, redis_url: str, site: Site) -> Settings:
    """The site of the test stands in for the parser's HTTP side."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        parser_url=site.url("").rstrip("/"),
        parser_timeout=2,
        database_timeout=2,
        publish_timeout=0.5,
    )


@pytest.fixture(autouse=True)
def celery_on_the_tests_redis(redis_url: str) -> None:
    celery_app.conf.broker_url = redis_url
    celery_app.conf.broker_write_url = redis_url
    celery_app.conf.broker_read_url = redis_url


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api", trust_env=False
        ) as opened,
    ):
        yield opened


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, timeout=5)
    yield opened
    await opened.dispose()


@pytest.fixture
async def jobs(settings: Settings) -> AsyncIterator[JobContext]:
    async with open_job_context(settings) as context:
        yield context
