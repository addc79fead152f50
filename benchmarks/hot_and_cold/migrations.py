"""Time how long statements of other sessions wait while migrations run on a large table."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

import asyncpg

from benchmarks.system import ROOT

PAUSE = 0.005
STEPS = (
    ("downgrade", "0004"),
    ("downgrade", "0003"),
    ("downgrade", "0002"),
    ("downgrade", "0001"),
    ("upgrade", "0002"),
    ("upgrade", "0003"),
    ("upgrade", "0004"),
    ("upgrade", "0006"),
)
"""Each migration but the first, backwards and forwards, on a database at the newest one."""
WAIT_SECONDS = 1800

_INSERT = "INSERT INTO parse_requests (url) VALUES ('https://example.com/') RETURNING id"
_NEWEST = "(SELECT max(id) FROM parse_requests)"
STATEMENTS = {
    "select": "SELECT status, url FROM parse_requests WHERE id = 1000",
    "insert": _INSERT,
    "update": f"UPDATE parse_requests SET updated_at = now() WHERE id = {_NEWEST}",
}

Connect = Callable[[], AsyncIterator[asyncpg.Connection]]


@dataclass(slots=True)
class Waits:
    """Holds the longest time that a statement took, by its name, and how many were sent."""

    longest: dict[str, float] = field(default_factory=dict)
    sent: int = 0

    async def repeat(self, name: str, address: str) -> None:
        """Send a statement again and again, each alone in its transaction."""
        # Plans are not kept: a statement may come right after a change of the table.
        connection = await asyncpg.connect(address, statement_cache_size=0)
        try:
            while True:
                started = perf_counter()
                await connection.execute(STATEMENTS[name], timeout=WAIT_SECONDS)
                took = perf_counter() - started
                self.longest[name] = max(self.longest.get(name, 0.0), took)
                self.sent += 1
                await asyncio.sleep(PAUSE)
        finally:
            connection.terminate()


@asynccontextmanager
async def statements_of_others(address: str) -> AsyncIterator[Waits]:
    """Send statements for the block; yield how long they took."""
    waits = Waits()
    sending = [asyncio.create_task(waits.repeat(name, address)) for name in STATEMENTS]
    try:
        yield waits
        for task in sending:
            if task.done():
                task.result()
    finally:
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)


async def measure(url: str, show: Callable[[str], None]) -> None:
    """Run each migration next to a light load, and print the longest waits."""
    address = url.replace("postgresql+asyncpg:", "postgresql:", 1)
    rows = []
    async with statements_of_others(address) as idle:
        await asyncio.sleep(10)
    rows.append(("none, 10 s", 10.0, idle))
    for step in STEPS:
        async with statements_of_others(address) as waits:
            await asyncio.sleep(1)
            started = perf_counter()
            await _run(url, *step)
            took = perf_counter() - started
            await asyncio.sleep(1)
        show(f"{' '.join(step)}: {took:.1f} s")
        rows.append((" ".join(step), took, waits))
    print("\n| migration | s | " + " | ".join(f"longest {name}, ms" for name in STATEMENTS) + " |")
    print("| --- | --: |" + " --: |" * len(STATEMENTS))
    for name, took, waits in rows:
        cells = " | ".join(f"{waits.longest[kind] * 1000:.0f}" for kind in STATEMENTS)
        print(f"| {name} | {took:.1f} | {cells} |")


async def _run(url: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "alembic", "-x", f"wait={WAIT_SECONDS}", *arguments),
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
    )
    if await process.wait():
        raise RuntimeError(f"alembic {' '.join(arguments)} failed")
