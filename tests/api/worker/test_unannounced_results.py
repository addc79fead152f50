"""Results without an announcement are found, however many requests are in flight."""

import json

import asyncpg
import pytest
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.worker import unannounced_results
from api_service.worker.unannounced_results import POLL_PERIOD_SECONDS, UnannouncedResultPoller
from tests.support.clock import Clock
from tests.support.keys import result_key
from tests.support.rows import add_request

RESULT = json.dumps({"status": "success", "title": "A", "html": "<p>"})


async def test_each_poll_looks_further_and_then_begins_again(
    jobs: WorkerContext,
    database: Database,
    connection: asyncpg.Connection,
    redis: aioredis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unannounced_results, "MAX_IDS_PER_POLL_QUERY", 2)
    async with database.transaction() as session:
        ids = [await add_request(session) for _ in range(9)]
    await jobs.handover.hand_over_pending(ids)
    clock = Clock()
    polling = UnannouncedResultPoller(
        database=database, results=jobs.results, endings=jobs.endings, clock=clock
    )

    async def polls_until_ended(request_id: int) -> int:
        await redis.set(result_key(request_id), RESULT)
        for number in range(1, 10):
            clock.now += POLL_PERIOD_SECONDS
            await polling.persist_if_due()
            query = "SELECT status FROM parse_requests WHERE id = $1"
            if await connection.fetchval(query, request_id) == "success":
                return number
        return 0

    assert await polls_until_ended(ids[0]) == 1  # the oldest are seen each time
    assert await polls_until_ended(ids[8]) in (2, 3)
    assert await polls_until_ended(ids[4]) in (1, 2, 3)
