"""Start real servers for tests, once for each test process, with data in a temporary folder.

If DATABASE_URL or REDIS_URL is set, that server is used instead.
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
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    server = Postgres(server_folder, durable=False)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def valkey_url(server_folder: Path) -> Iterator[str]:
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    server = Valkey(server_folder, durable=False)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def template_name(postgres_url: str) -> str:
    """Create a migrated database to copy."""
    name = f"{TEMPLATE}_{uuid4().hex[:8]}"

    async def create() -> None:
        connection = await asyncpg.connect(dsn(postgres_url))
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    run(create())
    upgrade(with_database(postgres_url, name))
    return name


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

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(dsn(postgres_url))
        await connection.execute(statement)
        await connection.close()

    run(execute(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield with_database(postgres_url, name)
    run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """Return an empty Redis database; a server has one for each test process."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    number = int(worker) % 15 + 1
    url = f"{valkey_url.rpartition('/')[0]}/{number}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


def run(coroutine: object) -> None:
    """Run a coroutine in a thread of its own, since this one may be running a loop already."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()  # type: ignore[arg-type]
