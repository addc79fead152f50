"""What the API and the worker tell Prometheus, on a real database and Redis."""

import asyncio
import re
from time import perf_counter

import asyncpg
import httpx
import redis.asyncio as aioredis

from api_service.config import Settings
from api_service.operation.gauges import Gauges
from api_service.queueing.statements import SUMMARISE_UNFINISHED
from tests.support.app_client import AppClient, OpenApp
from tests.support.keys import (
    DONE,
    DONE_BYTES,
    HOSTS,
    LEASES,
    PARSERS,
    QUEUE,
    READY,
    WORKERS,
    waiting_key,
)
from tests.support.metrics import Series, series
from tests.support.servers import dsn


async def _scrape(client: httpx.AsyncClient) -> Series:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return series(response.text)


async def test_what_has_not_ended_is_shown_by_state(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "INSERT INTO parse_requests (url, status, next_attempt_at, suspect_since, created_at)"
        " SELECT 'https://a.example/', s::parse_request_status, n::timestamptz,"
        "  u::timestamptz, now() - make_interval(secs => age)"
        " FROM (VALUES ('pending', NULL, NULL, 500), ('pending', NULL, NULL, 5),"
        "  ('processing', NULL, 'now', 300), ('processing', 'now', NULL, 100),"
        "  ('success', NULL, NULL, 900), ('failure', NULL, NULL, 900)) AS v(s, n, u, age)"
    )
    shown = await _scrape(client)
    found = {
        state: (
            shown[f"page_parser_requests_unfinished{{state={state}}}"],
            shown[f"page_parser_requests_oldest_age_seconds{{state={state}}}"] // 100,
        )
        for state in ("pending", "processing", "retrying")
    }
    assert found == {"pending": (2, 5), "processing": (1, 3), "retrying": (1, 1)}
    assert shown["page_parser_requests_suspect"] == 1
    assert shown["page_parser_requests_limit"] == 250_000
    assert shown["page_parser_up{part=database}"] == shown["page_parser_up{part=redis}"] == 1


async def test_no_state_is_left_out_because_nothing_is_in_it(client: httpx.AsyncClient) -> None:
    shown = await _scrape(client)
    for state in ("pending", "processing", "retrying"):
        assert shown[f"page_parser_requests_unfinished{{state={state}}}"] == 0
        assert shown[f"page_parser_requests_oldest_age_seconds{{state={state}}}"] == 0


async def test_ended_requests_are_not_looked_at(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO parse_requests (url, status) SELECT 'https://a.example/',"
        " (CASE WHEN n % 2000 = 0 THEN 'pending' ELSE 'success' END)::parse_request_status"
        " FROM generate_series(1, 20000) AS n"
    )
    await connection.execute("ANALYZE parse_requests")
    statement = str(SUMMARISE_UNFINISHED).replace(":limit", "250000").replace(":first", "0")
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}"))
    assert "ix_parse_requests_unfinished" in plan, plan
    assert "Seq Scan" not in plan, plan


async def test_what_waits_in_redis_is_shown_by_place(
    client: httpx.AsyncClient, redis: aioredis.Redis
) -> None:
    await redis.rpush(QUEUE, *"1234")
    await redis.rpush(READY, *"123")
    for host in ("a", "b"):
        await redis.zadd(HOSTS, {host: 1})
        await redis.rpush(waiting_key(host), "x")
    await redis.zadd(LEASES, {"1-a": 1})
    await redis.rpush(DONE, *"12345")
    await redis.set(DONE_BYTES, 77)
    await redis.rpush("api.control", *"12")
    await redis.hset("unacked", mapping=dict.fromkeys("abc", "x"))
    now = (await redis.time())[0]
    await redis.zadd(PARSERS, {"p": now, "q": now, "gone": now - 30})
    await redis.zadd(WORKERS, {"w": now})
    await client.post("/parse_async", json={"url": "https://a.example/"})
    shown = await _scrape(client)
    ours = {
        key.removeprefix("page_parser_"): value
        for key, value in shown.items()
        if re.match("page_parser_(queue|celery|processes)_", key)
    }
    assert ours == {
        "queue_jobs{place=list}": 4,
        "queue_jobs{place=ready}": 3,
        "queue_jobs{place=host}": 2,
        "queue_jobs{place=held}": 1,
        "queue_results": 5,
        "queue_result_bytes": 77,
        "celery_messages{queue=api}": 1,
        "celery_messages{queue=api.control}": 2,
        "celery_messages{queue=unacked}": 3,
        "processes_seen{kind=parser}": 2,
        "processes_seen{kind=worker}": 1,
    }


async def test_a_silent_database_is_said_to_be_away_and_holds_up_no_scrape(
    open_api: OpenApp, connection: asyncpg.Connection
) -> None:
    async with open_api(database_timeout=60) as client, connection.transaction():
        await connection.execute("LOCK TABLE parse_requests IN ACCESS EXCLUSIVE MODE")
        started = perf_counter()
        shown = await asyncio.gather(*(_scrape(client) for _ in range(20)))
        assert perf_counter() - started < 20
        for one in shown:
            assert one["page_parser_up{part=database}"] == 0
            assert one["page_parser_up{part=redis}"] == 1
            assert one["page_parser_queue_jobs{place=list}"] == 0
            assert not [key for key in one if "unfinished" in key or "oldest" in key]


async def test_a_database_that_refuses_is_said_to_be_away(
    client: httpx.AsyncClient, settings: Settings, postgres_url: str
) -> None:
    admin = await asyncpg.connect(dsn(postgres_url))
    name = settings.database_url.partition("?")[0].rpartition("/")[2]
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
    )
    try:
        shown = await _scrape(client)
    finally:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await admin.close()
    assert shown["page_parser_up{part=database}"] == 0
    assert "page_parser_requests_suspect" not in shown


async def test_without_redis_the_database_is_shown_all_the_same(
    open_api: OpenApp, unused_tcp_port: int
) -> None:
    async with open_api(redis_url=f"redis://127.0.0.1:{unused_tcp_port}/0") as client:
        shown = await _scrape(client)
    assert shown["page_parser_up{part=redis}"] == 0
    assert shown["page_parser_up{part=database}"] == 1
    assert shown["page_parser_requests_unfinished{state=pending}"] == 0
    assert not [key for key in shown if "queue" in key or "celery" in key or "seen" in key]


async def test_many_scrapers_share_one_reading(
    client: AppClient, connection: asyncpg.Connection
) -> None:
    gauges = client.app.state.collaborators.get(Gauges)
    async with connection.transaction():
        await connection.execute("LOCK TABLE parse_requests IN ACCESS EXCLUSIVE MODE")
        first, *others = [asyncio.create_task(gauges.read()) for _ in range(50)]
        await asyncio.sleep(0.1)
        first.cancel()  # who goes away takes no reading along
    readings = {id(reading) for reading in await asyncio.gather(*others)}
    readings.add(id(await gauges.read()))
    assert len(readings) == 1
