"""Start a system on servers of the test's own, with a proxy before each, and a web site."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import redis.asyncio as aioredis

from tests.support import faults
from tests.support.ledger import Ledger
from tests.support.servers import dsn
from tests.support.site import Site, open_site
from tests.support.system import PARTS, RunningSystem, open_to_all, start
from tests.support.waiting import until


@dataclass
class Deployment:
    """Give a test everything that it can harm, and the means to see what follows.

    Attributes:
        to_postgres, to_redis: the proxies that all services connect through.
        ledger: the status changes of all rows.
    """

    system: RunningSystem
    site: Site
    postgres: faults.Server
    redis: faults.Server
    to_postgres: faults.Proxy
    to_redis: faults.Proxy
    ledger: Ledger

    async def until_ready(self, *, seconds: float = 60) -> None:
        """Wait until every process runs and the API reports ready."""
        missing = ""

        async def is_ready() -> bool:
            nonlocal missing
            gone = [name for name, words in PARTS.items() if not self.system.processes(*words)]
            if gone:
                missing = f"{gone} not running"
                return False
            try:
                answer = await client.get("/ready")
            except httpx.TransportError as error:
                missing = repr(error)
                return False
            missing = answer.text
            return answer.status_code == 200

        async with self.system.client() as client:
            try:
                await until(is_ready, seconds=seconds)
            except TimeoutError:
                raise AssertionError(f"not ready: {missing}\n{self.system.output()}") from None

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """Open a connection that bypasses the proxy."""
        connection = await asyncpg.connect(dsn(self.postgres.url), timeout=10)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    @contextlib.asynccontextmanager
    async def keys(self) -> AsyncIterator[aioredis.Redis]:
        """Open a client of Redis that bypasses the proxy."""
        async with aioredis.Redis.from_url(self.redis.url, socket_timeout=10) as client:
            yield client


@contextlib.asynccontextmanager
async def deployed(folder: Path, **environment: str) -> AsyncIterator[Deployment]:
    """Start all of it, and stop all of it at the end."""
    open_to_all(folder)
    async with contextlib.AsyncExitStack() as stack:
        site = await stack.enter_async_context(open_site())
        servers = (faults.postgres(folder / "servers"), faults.valkey(folder / "servers"))
        proxies = []
        for server in servers:
            server.start()
            stack.callback(server.stop)
            proxy = faults.Proxy(_port(server.url))
            await proxy.open()
            stack.push_async_callback(proxy.close)
            proxies.append(proxy)
        urls = {
            name: server.url.replace(f":{_port(server.url)}/", f":{proxy.port}/")
            for name, server, proxy in zip(
                ("DATABASE_URL", "REDIS_URL"), servers, proxies, strict=True
            )
        }
        system = await asyncio.to_thread(start, folder / "data", **urls | environment)
        stack.push_async_callback(asyncio.to_thread, system.stop)
        ledger = Ledger(servers[0].url)
        await ledger.open()
        yield Deployment(system, site, *servers, proxies[0], proxies[1], ledger)


def _port(url: str) -> int:
    found = re.search(r"@127\.0\.0\.1:(\d+)/", url)
    assert found
    return int(found[1])
