"""What processes of all kinds make of their settings."""

import subprocess
import sys

from api_service.assembly.stores import open_stores
from api_service.config import Settings
from api_service.database import Database

WITHOUT_HTTP = """
import sys
import api_service.assembly.stores, api_service.capabilities, api_service.assembly.worker
found = {"fastapi", "starlette", "uvicorn", "aiohttp"} & set(sys.modules)
sys.exit(f"a worker imports {found}" if found else 0)
"""


def test_a_worker_can_use_the_stores_and_the_capabilities_without_http() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_HTTP], check=True)


async def test_stores_are_open_within_the_block(settings: Settings) -> None:
    async with open_stores(settings, transaction_seconds=2) as stores:
        assert isinstance(stores.database, Database)
        assert await stores.redis.ping()
        assert (await stores.queues.census.depths()).jobs == 0
