"""Measure the rate from list to row, and the cost of a job by how many wait before it."""

import asyncio
from time import perf_counter

from api_service.assembly.worker import open_worker
from api_service.config import Settings
from benchmarks.load import Load
from benchmarks.report import Section, Table, format_figure, show_progress
from benchmarks.system import TASKS
from benchmarks.usage import ALL_ROLES, Cost, Meter

SIZES = (20, 200)
FEW, MANY = 100, 100_000
FILL_BATCH = 2000
FILL_SECONDS = 90
"""Below the two minutes after which a paused listener is taken to hang and is killed."""

ADD_PENDING = """
    INSERT INTO parse_requests (url)
    SELECT $1 || n FROM generate_series(0, $2 - 1) AS n RETURNING id
"""
ENDED = "SELECT count(*) FROM parse_requests WHERE status = 'success'"


async def measure(load: Load, *, quick: bool) -> Section:
    """Measure rates from list to row, then costs with few and with many jobs waiting."""
    await load.warm_up()
    jobs = 1500 if quick else 10_000
    rates = [await list_to_row(load, jobs, kib=kib) for kib in SIZES]
    waiting = (FEW, MANY // 5 if quick else MANY)
    costs = [await _cost_with_waiting(load, n, jobs=800 if quick else 5000) for n in waiting]
    section = Section()
    section.add(
        f"{jobs:,} jobs are on the list, and no more are submitted: jobs per second until the last "
        "row has ended.",
        Table(
            ("", *(f"{kib} KiB" for kib in SIZES)),
            [("list to row, jobs/s", *map(format_figure, rates))],
        ),
        "CPU milliseconds for a job of 20 KiB, submission included, with other jobs waiting before "
        "it.",
        _cost_table(waiting, costs),
    )
    return section


async def list_to_row(load: Load, jobs: int, *, kib: int) -> float:
    """Fill the list while listeners are paused, then resume them; return jobs per second."""
    with load.system.paused_listeners() as paused:
        async with asyncio.timeout(FILL_SECONDS):
            ids = await load.submit_many(jobs, kib=kib)
            # A listener that was paused while it waited may have received a job.
            await _wait_for_list_length(load, at_least=jobs - paused)
        started = perf_counter()
    await load.wait_until_ended()
    rate = jobs / (perf_counter() - started)
    await load.check(ids)
    show_progress(f"list to row, {kib} KiB, {paused} listeners: {rate:.0f} jobs/s")
    return rate


async def _cost_with_waiting(load: Load, waiting: int, *, jobs: int) -> Cost:
    """Measure the cost of a job with `waiting` jobs before it."""
    with load.system.paused_listeners():
        await _fill(load, waiting)
        await _wait_for_list_length(load, at_least=waiting - 1)
        # Do now what PostgreSQL would otherwise do during the measurement.
        await load.database.execute("VACUUM ANALYZE parse_requests", timeout=120)
        await load.database.execute("CHECKPOINT", timeout=120)
        before = await load.database.fetchval(ENDED)
        meter = Meter(load.system)
    await load.submit_many(jobs, kib=SIZES[0])
    await _wait_for_list_length(load, at_most=waiting)
    cost = meter.cost(jobs)
    ended = await load.database.fetchval(ENDED) - before
    cost = Cost(ended, cost.seconds)
    show_progress(f"{waiting:,} waiting: {cost.total():.2f} ms a job ({ended:,} ended)")
    return cost


async def _fill(load: Load, waiting: int) -> None:
    """Insert requests and push their jobs with the service's own code, many at a time."""
    settings = Settings(database_url=load.system.postgres.url, redis_url=load.system.redis_url(0))
    url = load.system.page(SIZES[0], 0, delay_ms=50).removesuffix("0")
    async with asyncio.timeout(FILL_SECONDS), open_worker(settings) as context:
        for start in range(0, waiting, FILL_BATCH):
            rows = await load.database.fetch(ADD_PENDING, url, min(FILL_BATCH, waiting - start))
            await context.handover.hand_over_pending([row["id"] for row in rows])


async def _wait_for_list_length(
    load: Load, *, at_least: int = 0, at_most: float = float("inf")
) -> None:
    async with load.system.redis() as redis:
        while not at_least <= await redis.llen(TASKS) <= at_most:
            await asyncio.sleep(0.05)


def _cost_table(waiting: tuple[int, ...], costs: list[Cost]) -> Table:
    def row(name: str, few: float, many: float) -> tuple[str, ...]:
        return (
            name,
            format_figure(few),
            format_figure(many),
            format_figure(many / few) if few > 0.02 else "",
        )

    rows = [row(role, *(cost.ms_per_job(role) for cost in costs)) for role in ALL_ROLES]
    rows.append(row("all", *(cost.total() for cost in costs)))
    return Table(("process", *(f"{n:,} waiting" for n in waiting), "ratio"), rows)
