"""Time lone jobs of the whole system while it deletes a day's requests."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import asyncpg

from benchmarks.hot_and_cold.rows import add_ended
from benchmarks.load import Load, open_load
from benchmarks.system import ROOT, System, running_system

JOBS = 100
APART = 0.1
"""Seconds between two starts: a job that waits does not delay the next, which would hide it."""
LEAST_LEFT = 1000

_LEFT = "SELECT count(*) FROM parse_requests WHERE created_at < now() - interval '30 days'"
_AGE = """UPDATE parse_requests
    SET created_at = now() - interval '31 days', updated_at = now() - interval '31 days'"""
_WAL = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"


_PAGES = f"""
    CREATE TEMP TABLE pages AS SELECT kind, (
        SELECT string_agg('<p class="paragraph" id="number-' || n || '">' || md5(random()::text)
            || '</p>{" " * 60}', '') FROM generate_series(1, {{kib}} * 1024 / 132) AS n
    ) AS html FROM generate_series(0, 99) AS kind
"""
"""Pages that PostgreSQL compresses to a third, like real ones."""
_GIVE_PAGES = """UPDATE parse_requests SET html_content = html
    FROM pages WHERE id % 100 = kind AND id BETWEEN $1 AND $2"""
_STEP = 10_000
_SIZES = """SELECT pg_relation_size(reltoastrelid), octet_length(html_content),
    pg_column_size(html_content) FROM pg_class, parse_requests
    WHERE relname = 'parse_requests' LIMIT 1"""


async def measure(count: int, show: Callable[[str], None], *, kib: int = 0) -> None:
    """Delete `count` requests that are old enough, next to lone jobs; print both.

    Args:
        count: of requests.
        show: prints progress.
        kib: length of the page of each; 0 is a short one.
    """
    with running_system() as system:
        async with open_load(system) as load:
            await add_ended(load.database, count)
            if kib:
                await _add_pages(load.database, count, kib, show)
            await load.database.execute(_AGE, timeout=600)
            await load.database.execute("VACUUM ANALYZE parse_requests", timeout=600)
            show(f"{count:,} requests to delete")
            await _lone_jobs(load)  # the first meet cold caches
            alone = await _lone_jobs(load)
            show(f"a lone job: p50 {median(alone) * 1000:.1f} ms")
            wal, started = await load.database.fetchval(_WAL), perf_counter()
            _start_clean_up(system)
            meanwhile: list[float] = []
            while await load.database.fetchval(_LEFT) > LEAST_LEFT:
                meanwhile += await _lone_jobs(load)
                show(f"meanwhile: p50 {median(meanwhile) * 1000:.1f} ms")
            wal = await load.database.fetchval(_WAL) - wal
            seconds = perf_counter() - started
            after = await _lone_jobs(load)  # the machine's load may drift
            show(f"a lone job: p50 {median(after) * 1000:.1f} ms")
            alone += after
    print(f"\n| requests deleted, KiB each | {count:,}, {kib or 'short'} |\n| --- | --: |")
    print(f"| seconds; WAL, jobs included | {seconds:.0f}; {float(wal) / 1e6:.0f} MB |")
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        one, other = _share(alone, share), _share(meanwhile, share)
        print(
            f"| a lone job's {name}: alone, meanwhile | {one:.1f} ms, {other:.1f} ms,"
            f" x {other / one:.2f} |"
        )


async def _add_pages(
    database: asyncpg.Connection, count: int, kib: int, show: Callable[[str], None]
) -> None:
    await database.execute(_PAGES.format(kib=kib), timeout=600)
    newest = await database.fetchval("SELECT max(id) FROM parse_requests")
    for first in range(1, newest + 1, _STEP):
        await database.execute(_GIVE_PAGES, first, first + _STEP - 1, timeout=600)
    total, length, stored = await database.fetchrow(_SIZES)
    show(f"{count:,} pages of {length:,} bytes, {stored:,} stored; {total / 1e9:.1f} GB")


async def _lone_jobs(load: Load) -> list[float]:
    jobs = []
    for _ in range(JOBS):
        jobs.append(asyncio.create_task(_lone_job(load)))
        await asyncio.sleep(APART)
    return await asyncio.gather(*jobs)


async def _lone_job(load: Load) -> float:
    started = perf_counter()
    request_id = await load.submit(load.system.page(20, 1))
    answer = await load.get(f"/status/{request_id}?wait=30")
    assert answer["status"] == "success", answer
    return perf_counter() - started


def _share(times: list[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)] * 1000


def _start_clean_up(system: System) -> None:
    command = ["celery", "-A", "api_service.celery_app", "call", "api.cleanup_parse_requests"]
    subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=system.environment, check=True, timeout=60
    )
