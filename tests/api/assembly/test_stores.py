"""What processes of all kinds make of their settings."""

import subprocess
import sys

import pytest

from api_service.assembly.stores import open_stores
from api_service.config import Settings
from api_service.database import Database

HTTP = ["fastapi", "starlette", "uvicorn", "aiohttp"]
UNUSED = """
import importlib, sys
importlib.import_module(sys.argv[1])
found = set(sys.argv[2:]) & set(sys.modules)
sys.exit(f"{sys.argv[1]} imports {found}" if found else 0)
"""


@pytest.mark.parametrize(
    ("module", "unused"),
    [
        ("api_service.assembly.worker", HTTP),
        ("api_service.tasks", HTTP),
        ("api_service.worker.results", [*HTTP, "celery", "kombu"]),
        ("api_service.worker.beat", [*HTTP, "sqlalchemy", "asyncpg", "api_service.tasks"]),
        ("api_service.worker.scheduler", [*HTTP, "sqlalchemy", "asyncpg", "api_service.tasks"]),
        ("local.system", [*HTTP, "redis", "celery", "sqlalchemy", "asyncpg"]),
    ],
)
def test_a_process_does_not_load_what_it_does_not_use(module: str, unused: list[str]) -> None:
    subprocess.run([sys.executable, "-c", UNUSED, module, *unused], check=True)


async def test_stores_are_open_within_the_block(settings: Settings) -> None:
    async with open_stores(settings, transaction_seconds=2) as stores:
        assert isinstance(stores.database, Database)
        assert await stores.redis.ping()
        assert (await stores.queues.census.read_depths()).jobs == 0
