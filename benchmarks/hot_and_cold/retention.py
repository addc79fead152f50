"""Time lone jobs of the whole system while it deletes a day's requests."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

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


async def measure(count: int, show: Callable[[str], None]) -> None:
    """Delete `count` requests that are old enough, next to lone jobs; print both."""
    with running_system() as system:
        async with open_load(system) as load:
            await add_ended(load.database, count)
            await load.database.execute(_AGE, timeout=600)
            await load.database.execute("VACUUM ANALYZE parse_requests", timeout=600)
            show(f"{count:,} requests to delete")
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
    print(f"\n| requests deleted | {count:,} |\n| --- | --: |")
    print(f"| seconds; WAL, jobs included | {seconds:.0f}; {float(wal) / 1e6:.0f} MB |")
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        one, other = _share(alone, share), _share(meanwhile, share)
        print(
            f"| a lone job's {name}: alone, meanwhile | {one:.1f} ms, {other:.1f} ms,"
            f" x {other / one:.2f} |"
        )


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
