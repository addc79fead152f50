"""Start real servers for tests, once for each test process, with data in a temporary folder.

If TEST_DATABASE_URL or TEST_REDIS_URL is set, that server is used instead. DATABASE_URL and
REDIS_URL name servers that people work with: tests never read them.
"""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import redis

from local.postgres import Postgres
from local.valkey import Valkey
from tests.support.migrations import upgrade

TEMPLATE = "page_parser_template"
MARKER = "page_parser:tests:{}"
"""The key in database 0 that says that tests use the database of this number, and may empty it.

It outlives tests that were killed. It is not in their database: they look at all keys there.
"""
MARKED_SECONDS = 24 * 3600


def with_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    base, question, query = url.partition("?")
    return f"{base.rpartition('/')[0]}/{name}{question}{query}"


def dsn(url: str) -> str:
    """Return the URL as asyncpg itself takes it."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("servers")
    for path in (folder, *folder.parents[:2]):  # PostgreSQL may run as another user
        path.chmod(path.stat().st_mode | 0o011)
    return folder


@pytest.fixture(scope="session")
def postgres_url(server_folder: Path) -> Iterator[str]:
    """Start a server, on which tests make their databases."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    server = Postgres(server_folder, durable=False)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def valkey_url(server_folder: Path) -> Iterator[str]:
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    server = Valkey(server_folder, durable=False)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def template_name(postgres_url: str) -> Iterator[str]:
    """Create a migrated database to copy."""
    name = f"{TEMPLATE}_{uuid4().hex[:8]}"
    _execute(postgres_url, f"CREATE DATABASE {name}")
    upgrade(with_database(postgres_url, name))
    yield name
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """Create a database of the test's own, not migrated."""
    yield from _database(postgres_url, "template1")


@pytest.fixture
def database_url(postgres_url: str, template_name: str) -> Iterator[str]:
    """Create a database of the test's own, at the newest migration."""
    yield from _database(postgres_url, template_name)


def _database(postgres_url: str, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    _execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield with_database(postgres_url, name)
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(postgres_url: str, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(dsn(postgres_url))
        await connection.execute(statement)
        await connection.close()

    run(execute())


@pytest.fixture
def redis_url(valkey_url: str) -> Iterator[str]:
    """Provide an empty Redis database; a server has one for each test process."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    number = int(worker) % 15 + 1
    url = with_number(valkey_url, number)
    if "TEST_REDIS_URL" not in os.environ:
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        yield url
        return
    marker = MARKER.format(number)
    with redis.Redis.from_url(url) as client, redis.Redis.from_url(with_number(url, 0)) as first:
        if client.dbsize() and not first.exists(marker):
            pytest.exit(
                f"TEST_REDIS_URL: database {number} of this Redis holds keys that are not of "
                f"these tests, which would delete them. Name a server for tests only.",
                returncode=2,
            )
        first.set(marker, "in use", ex=MARKED_SECONDS)
        client.flushdb()
        yield url
        client.flushdb()
        first.delete(marker)


def with_number(url: str, number: int) -> str:
    """Return the URL of another database on the same Redis."""
    base, question, query = url.partition("?")
    return f"{base.rpartition('/')[0]}/{number}{question}{query}"


def run(coroutine: object) -> None:
    """Run a coroutine in a thread of its own, since this one may be running a loop already."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()  # type: ignore[arg-type]
