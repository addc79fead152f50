"""Clients send more work than the system accepts."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.support import invariants
from tests.support.deployment import Deployment, deployed
from tests.support.load import Load
from tests.support.system import PARTS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

POSTS = 10_000
CONNECTIONS = 1000
MAX_QUEUE_DEPTH = 2000
COUNTED_LATE = 1000
"""Requests that may be accepted between two counts, while others end."""
MEMORY = 400 * 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    folder = tmp_path_factory.mktemp("overload")
    async with deployed(folder, MAX_QUEUE_DEPTH=str(MAX_QUEUE_DEPTH)) as opened:
        yield opened


async def test_ten_thousand_posts_at_once_are_accepted_or_refused(
    deployment: Deployment, load: Load
) -> None:
    async def post(session: aiohttp.ClientSession, number: int) -> None:
        body = {"url": load.urls[number % len(load.urls)]}
        async with session.post(f"{load.url}/parse_async", json=body) as response:
            answer = await response.json(content_type=None)
            load.answers[f"{response.status} {answer.get('code', '')}".strip()] += 1
            if response.status == 202:
                load.ids.add(answer["request_id"])
            else:
                assert int(response.headers["Retry-After"]) >= 1

    async def watch() -> int:
        most = 0
        unfinished: int
        async with deployment.database() as connection:
            while True:
                unfinished = await connection.fetchval(
                    "SELECT count(*) FROM parse_requests WHERE status IN ('pending', 'processing')"
                )
                most = max(most, unfinished)
                if flood.done():
                    return most
                await asyncio.sleep(0.2)

    async def all_at_once() -> None:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=300)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(post(session, number) for number in range(POSTS)))

    flood = asyncio.create_task(all_at_once())
    most = await watch()
    await flood
    assert load.answers.total() == POSTS
    assert not load.undeclared
    assert len(load.ids) == load.answers["202"] >= MAX_QUEUE_DEPTH / 2
    assert most <= MAX_QUEUE_DEPTH + COUNTED_LATE
    for name in PARTS:
        assert deployment.system.part(name).memory_info().rss < MEMORY, name
    await invariants.are_accounted_for(deployment, load.ids)
    await invariants.have_ended(deployment, load.ids, seconds=300)
    await invariants.all_hold(deployment, load.ids)
