"""The client: drives the public API, and asks the database when all has ended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from time import perf_counter
from typing import TypeVar

import aiohttp
import asyncpg

from benchmarks.system import System

T = TypeVar("T")

FINAL = frozenset({"success", "failure"})
CONCURRENCY = 64
SITE_DELAY_MS = 50
"""What a page of the site takes where many are fetched side by side."""
SAMPLE = 20
END_SECONDS = 300

UNFINISHED = "SELECT count(*) FROM parse_requests WHERE status IN ('pending', 'processing')"
FAILED = "SELECT count(*) FROM parse_requests WHERE status = 'failure'"


@dataclass(frozen=True, slots=True)
class Load:
    """A client of one system, within one event loop."""

    system: System
    session: aiohttp.ClientSession
    database: asyncpg.Connection

    async def warm_up(self) -> None:
        """Have every process do its work a few times."""
        for kib in (20, 200):
            await self.run_jobs(50, kib=kib, concurrency=8)
            await self.run_sync(25, kib=kib, concurrency=8)

    async def submit(self, url: str) -> int:
        """POST a job; its id."""
        async with self.session.post(f"{self.system.url}/parse_async", json={"url": url}) as answer:
            assert answer.status == 202, await answer.text()
            request_id: int = (await answer.json())["request_id"]
            return request_id

    async def get(self, path: str) -> dict[str, object]:
        """GET what must be there."""
        async with self.session.get(f"{self.system.url}{path}") as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, object] = await answer.json()
            return found

    async def submit_many(
        self, count: int, *, kib: int, concurrency: int = CONCURRENCY, delay_ms: int = SITE_DELAY_MS
    ) -> list[int]:
        """POST jobs one by one, so many at a time; their ids."""
        urls = [self.system.page(kib, n, delay_ms=delay_ms) for n in range(count)]
        return await run_concurrently(concurrency, [partial(self.submit, url) for url in urls])

    async def run_jobs(
        self, count: int, *, kib: int, concurrency: int = CONCURRENCY, delay_ms: int = SITE_DELAY_MS
    ) -> float:
        """POST jobs and wait until all have ended; jobs per second."""
        started = perf_counter()
        ids = await self.submit_many(count, kib=kib, concurrency=concurrency, delay_ms=delay_ms)
        await self.wait_until_ended()
        took = perf_counter() - started
        await self.check(ids)
        return count / took

    async def run_sync(self, count: int, *, kib: int, concurrency: int) -> float:
        """GET /parse_sync, so many at a time; requests per second."""

        async def one(number: int) -> None:
            url = f"{self.system.url}/parse_sync"
            page = {"url": self.system.page(kib, number)}
            async with self.session.get(url, params=page) as answer:
                body = await answer.read()
                title = f'"title":"Page {number}"'.encode()
                assert answer.status == 200, body[:300]
                assert title in body[:1000], body[:300]

        started = perf_counter()
        await run_concurrently(concurrency, [partial(one, number) for number in range(count)])
        return count / (perf_counter() - started)

    async def wait_until_ended(self, *, left: int = 0) -> None:
        """Wait until no more than so many requests have not ended."""
        end = perf_counter() + END_SECONDS
        while (unfinished := await self.database.fetchval(UNFINISHED)) > left:
            if perf_counter() > end:
                raise RuntimeError(f"{unfinished} requests have not ended in {END_SECONDS} s")
            await asyncio.sleep(0.05)

    async def check(self, ids: Sequence[int]) -> None:
        """All have succeeded, and those that are looked at have the right title."""
        failed = await self.database.fetchval(FAILED)
        assert not failed, f"{failed} requests have failed"
        some = Random(1).sample(range(len(ids)), min(SAMPLE, len(ids)))
        for number in some:
            result = await self.get(f"/result/{ids[number]}")
            assert result["title"] == f"Page {number}", result["title"]


@asynccontextmanager
async def open_load(system: System) -> AsyncIterator[Load]:
    """A client of a system that has done nothing yet."""
    database = await system.database()
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Load(system, session, database)
    await database.close()


async def run_concurrently(limit: int, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """The outcomes of calls of which at most so many are under way."""
    outcomes: dict[int, T] = {}
    waiting = iter(enumerate(calls))

    async def work() -> None:
        for number, call in waiting:
            outcomes[number] = await call()

    await asyncio.gather(*(work() for _ in range(min(limit, len(calls)))))
    return [outcomes[number] for number in range(len(calls))]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
