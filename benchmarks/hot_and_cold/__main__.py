"""Measure what grows with the rows: `python -m benchmarks.hot_and_cold`, or `make bench-growth`.

1. Time each statement at 1,000 requests, then at 10,000,000 ended and 250,000 unfinished ones.
2. The same with the statistics of 1,000 rows, and while a snapshot is held and 200,000 requests
   end.
3. Compare layouts of the tables at as many ended rows (`layouts.py`).
4. Time lone jobs of the whole system while it deletes 1,000,000 requests, then 100,000 with pages
   of 200 KiB (`retention.py`).
5. Run each migration backwards and forwards at as many ended rows, and time how long statements of
   others wait (`migrations.py`).

Its own PostgreSQL has its data in a temporary folder, about 6 GB.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic

import asyncpg

from api_service.database import Database
from api_service.database_address import read_database_url
from benchmarks.hot_and_cold import migrations, retention, rows
from benchmarks.hot_and_cold.layouts import compare
from benchmarks.hot_and_cold.rows import Sizes
from benchmarks.hot_and_cold.statements import Cost, find_targets, measure, statements
from benchmarks.system import ROOT
from local.postgres import Postgres

SMALL = 1000
LONG_KIB = 200
PARTS = ("statements", "layouts", "retention", "long-pages", "migrations")

STARTED = monotonic()


def show(text: str) -> None:
    """Print a line of progress."""
    print(f"  {monotonic() - STARTED:4.0f} s: {text}", flush=True)


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server of our own for the block; yield the URL of a migrated database."""
    with tempfile.TemporaryDirectory(prefix="page-parser-growth-") as name:
        Path(name).chmod(0o755)  # started as root, PostgreSQL runs as the user `nobody`
        server = Postgres(Path(name), durable=False)
        server.start()
        try:
            command = [sys.executable, "-m", "alembic", "upgrade", "head"]
            environment = os.environ | {"DATABASE_URL": server.url}
            subprocess.run(command, cwd=ROOT, env=environment, check=True)
            yield server.url
        finally:
            server.stop()


async def connect(url: str) -> asyncpg.Connection:
    """Open a connection, for statements that may take long."""
    address = url.replace("postgresql+asyncpg:", "postgresql:", 1)
    return await asyncpg.connect(address, command_timeout=1200)


@contextlib.asynccontextmanager
async def held_snapshot(url: str) -> AsyncIterator[None]:
    """Hold a snapshot for the block, as pg_dump does."""
    holder = await connect(url)
    transaction = holder.transaction(isolation="repeatable_read")
    await transaction.start()
    await holder.fetchval("SELECT 1 FROM parse_requests LIMIT 1")
    yield
    await transaction.rollback()
    await holder.close()


async def run(url: str, sizes: Sizes) -> None:
    """Measure the statements in every state, and print them."""
    connection = await connect(url)

    async def take(state: str) -> dict[str, Cost]:
        database = Database(read_database_url(url), timeout=120, pool_size=1)
        asked = statements(await find_targets(connection, database))
        costs = await measure(database, connection, asked)
        await database.dispose()
        show(f"measured: {state}")
        return costs

    await rows.stop_statistics(connection)
    await rows.add_ended(connection, SMALL // 2)
    await rows.add_unfinished(connection, SMALL // 2)
    await connection.execute("VACUUM ANALYZE parse_requests")
    measured = {f"{SMALL:,} rows": await take(f"{SMALL:,} rows")}
    await connection.execute("DELETE FROM parse_requests WHERE status IN ('pending', 'processing')")
    await connection.execute("CHECKPOINT")
    await rows.add_ended(connection, sizes.ended, progress=show)
    await rows.add_unfinished(connection, sizes.unfinished)
    show(f"{sizes.unfinished:,} unfinished requests")
    measured["stale statistics"] = await take("stale statistics")
    async with held_snapshot(url):
        await rows.let_end(connection, sizes.ends)
        show(f"{sizes.ends:,} ends")
        measured["and a held snapshot"] = await take("and a held snapshot")
    await connection.execute("VACUUM ANALYZE parse_requests")
    show("vacuumed and analysed")
    measured["fresh statistics"] = await take("fresh statistics")
    await connection.close()
    print_table(measured)


async def migrate(url: str, ended: int) -> None:
    """Fill the database, then measure its migrations."""
    connection = await connect(url)
    await rows.add_ended(connection, ended, progress=show)
    await connection.close()
    await migrations.measure(url, show)


def print_table(measured: dict[str, dict[str, Cost]]) -> None:
    """Print milliseconds and blocks of each statement, with ratios to the first state."""
    (first, base), *others = measured.items()
    print(f"\n| milliseconds (blocks) | {first} | " + " | ".join(name for name, _ in others) + " |")
    print("| --- | --: |" + " --: |" * len(others))
    for name, cost in base.items():
        cells = [f"{cost.milliseconds:.2f} ({cost.blocks})"]
        for _, costs in others:
            found = costs[name]
            ratio = found.milliseconds / cost.milliseconds
            cells.append(f"{found.milliseconds:.2f} ({found.blocks}), x {ratio:.1f}")
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    """Run with the sizes that the arguments give."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hot_and_cold", description=__doc__)
    parser.add_argument("--ended", type=int, default=10_000_000)
    parser.add_argument("--unfinished", type=int, default=250_000)
    parser.add_argument("--ends", type=int, default=200_000, help="while a snapshot is held")
    parser.add_argument("--retained", type=int, default=1_000_000, help="to delete")
    parser.add_argument("--long", type=int, default=100_000, help="to delete, of 200 KiB each")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part only")
    arguments = parser.parse_args()
    sizes = Sizes(arguments.ended, arguments.unfinished, arguments.ends)
    parts = arguments.only or PARTS
    if "statements" in parts:
        with running_postgres() as url:
            asyncio.run(run(url, sizes))
    if "layouts" in parts:
        with running_postgres() as url:
            asyncio.run(compare(lambda: connect(url), sizes.ended, show))
    if "retention" in parts:
        asyncio.run(retention.measure(arguments.retained, show))
    if "long-pages" in parts:
        asyncio.run(retention.measure(arguments.long, show, kib=LONG_KIB))
    if "migrations" in parts:
        with running_postgres() as url:
            asyncio.run(migrate(url, sizes.ended))


if __name__ == "__main__":
    main()
