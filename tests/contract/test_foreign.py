"""Foreign parsers and producers that speak the two plain Redis messages can take part.

The tests send raw commands only, as a client in any language would.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from ipaddress import ip_network

import asyncpg
import pytest
import redis.asyncio as aioredis

from api_service import config as api_config
from api_service.assembly.worker import open_worker
from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.worker.result_loop import build_result_loop
from parser_service import config as parser_config
from tests.support.keys import QUEUE, result_key
from tests.support.listening import listening
from tests.support.rows import add_request
from tests.support.servers import dsn
from tests.support.site import Site
from tests.support.waiting import until


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def started(database_url: str, redis_url: str) -> AsyncIterator[list[int]]:
    """Push two requests as our API does, and let our worker wait for their results."""
    settings = api_config.Settings(database_url=database_url, redis_url=redis_url)
    async with open_worker(settings) as context:
        database = Database(read_database_url(database_url), timeout=5)
        ids = []
        for number in range(2):
            async with database.transaction() as session:
                url = f"https://example.com/{number}"
                ids.append(await add_request(session, url))
            await context.handover.hand_over_pending([ids[-1]])
        loop = build_result_loop(context)
        running = asyncio.create_task(loop.run())
        yield ids
        loop.request_stop()
        await running
        await database.dispose()


async def test_a_foreign_parser_completes_our_jobs(
    started: list[int], redis: aioredis.Redis, database_url: str
) -> None:
    for number, request_id in enumerate(started):
        _, raw = await redis.execute_command("BLPOP", QUEUE, 5)
        job = json.loads(raw)
        assert (job["id"], job["url"]) == (request_id, f"https://example.com/{number}")
        result = (
            {"status": "success", "title": "From afar", "html": "<title>From afar</title>"}
            if number == 0
            else {"status": "failure", "error": "No such page"}
        )
        key = result_key(job["id"])
        await redis.execute_command("SET", key, json.dumps(result), "EX", 3600)

    connection = await asyncpg.connect(dsn(database_url))

    async def ended() -> bool:
        query = "SELECT count(*) FROM parse_requests WHERE status IN ('success', 'failure')"
        return int(await connection.fetchval(query)) == 2

    await until(ended, seconds=5)
    rows = await connection.fetch("SELECT * FROM parse_requests ORDER BY id")
    await connection.close()
    assert [row["status"] for row in rows] == ["success", "failure"]
    assert (rows[0]["title"], rows[0]["html_content"]) == ("From afar", "<title>From afar</title>")
    assert json.loads(rows[1]["error"])["message"] == "No such page"


async def test_a_foreign_producer_gets_its_result_from_our_parser(
    redis: aioredis.Redis, redis_url: str, site: Site
) -> None:
    settings = parser_config.Settings(
        redis_url=redis_url,
        fetch_allowed_networks=(ip_network("127.0.0.0/8"),),
        fetch_allowed_ports=frozenset({site.port}),
    )
    url = site.page("/", "<title>A</title>")
    jobs = {"text-id": url, 5: url, "bad": site.url("/missing")}
    async with listening(settings), aioredis.Redis.from_url(redis_url) as producer:
        for job_id, page in jobs.items():
            message = json.dumps({"id": job_id, "url": page})
            await producer.execute_command("RPUSH", QUEUE, message)
        results = {}
        for job_id in jobs:
            key = result_key(job_id)
            await until(partial(producer.execute_command, "EXISTS", key))
            results[job_id] = json.loads(await producer.execute_command("GET", key))
            assert 3500 < await producer.execute_command("TTL", key) <= 3600
    for job_id in ("text-id", 5):
        assert results[job_id]["status"] == "success"
        assert (results[job_id]["title"], results[job_id]["html"]) == ("A", "<title>A</title>")
    assert results["bad"]["status"] == "failure"
    assert results["bad"]["error"] == "The site answered with HTTP status 404."
