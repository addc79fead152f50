"""What clients see while PostgreSQL or Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

import asyncpg
import pytest

from api_service.config import Settings
from tests.support.app_client import OpenApp
from tests.support.servers import dsn


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A port that takes connections and never says a word."""
    stop = asyncio.Event()

    async def silence(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    stop.set()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("kind", ["refused", "silent"])
async def test_without_redis_a_request_is_accepted_within_its_time(
    open_api: OpenApp, silent_port: int, unused_tcp_port: int, kind: str, database_url: str
) -> None:
    port = silent_port if kind == "silent" else unused_tcp_port
    url = f"redis://127.0.0.1:{port}/0"
    async with open_api(redis_url=url) as client:
        started = perf_counter()
        posts = [client.post("/parse_async", json={"url": "http://a.example/"}) for _ in range(20)]
        health = await client.get("/health")
        assert health.status_code == 200
        assert perf_counter() - started < 0.4, "the event loop hung"
        responses = await asyncio.gather(*posts)
        assert perf_counter() - started < 4
        assert {response.status_code for response in responses} == {202}
        assert (await client.get("/ready")).json()["checks"]["redis"] == "does not answer"
    connection = await asyncpg.connect(dsn(database_url))
    assert await connection.fetchval("SELECT count(*) FROM parse_requests") == 20
    await connection.close()


async def test_without_postgres_everything_that_needs_it_is_a_503(
    open_api: OpenApp, settings: Settings, postgres_url: str
) -> None:
    async with open_api() as client:
        assert (await client.get("/status/1")).status_code == 404
        connection = await asyncpg.connect(dsn(postgres_url))
        name = settings.database_url.partition("?")[0].rpartition("/")[2]
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        await asyncio.sleep(0.1)
        try:
            for call in (
                client.post("/parse_async", json={"url": "http://a.example/"}),
                client.get("/status/1"),
                client.get("/result/1?wait=1"),
            ):
                response = await call
                assert response.status_code == 503, response.text
                assert response.json()["code"] == "database_unavailable"
                assert int(response.headers["retry-after"]) >= 1
            assert (await client.get("/health")).status_code == 200
            checks = (await client.get("/ready")).json()["checks"]
            assert checks["database"] == "does not answer"
        finally:
            await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await connection.close()
        assert (await client.get("/status/1")).status_code == 404


async def test_a_connection_that_the_server_closed_is_replaced(
    open_api: OpenApp, settings: Settings
) -> None:
    async with open_api() as client:
        assert (await client.get("/status/1")).status_code == 404
        connection = await asyncpg.connect(dsn(settings.database_url))
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.close()
        await asyncio.sleep(0.1)
        assert (await client.get("/status/1")).status_code == 404
