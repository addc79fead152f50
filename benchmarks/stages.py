"""Where a job's CPU goes: by process, by command of Redis, and by stage."""

from benchmarks.load import Load
from benchmarks.report import Section, Table, format_figure, show_progress
from benchmarks.stage_loops import run_stages
from benchmarks.stopwatch import Stage
from benchmarks.usage import ALL_ROLES, Cost, Meter

SIZES = (20, 200)
JOBS = {20: 3000, 200: 1200}
REQUESTS = {20: 1500, 200: 500}
SYNC_CONCURRENCY = 16
QUICK_SHARE = 0.2
COMMANDS = 10

Commands = dict[str, tuple[int, int]]
"""Calls and microseconds so far, by command."""


async def measure(load: Load, *, quick: bool) -> Section:
    """Under load by process, then stage by stage."""
    await load.warm_up()
    share = QUICK_SHARE if quick else 1
    costs: dict[str, Cost] = {}
    before = await _commands(load)
    for kib in SIZES:
        jobs = int(JOBS[kib] * share)
        meter = Meter(load.system)
        await load.run_jobs(jobs, kib=kib)
        costs[f"async, {kib} KiB"] = meter.cost(jobs)
    commands = _subtract(before, await _commands(load))
    jobs = sum(int(number * share) for number in JOBS.values())
    # One message is one LPUSH, and one transaction of results begins with one MGET.
    batch = _batch(commands, jobs, "lpush")
    results = _batch(commands, jobs, "mget")
    for kib in SIZES:
        requests = int(REQUESTS[kib] * share)
        meter = Meter(load.system)
        await load.run_sync(requests, kib=kib, concurrency=SYNC_CONCURRENCY)
        costs[f"sync, {kib} KiB"] = meter.cost(requests)
    for name, cost in costs.items():
        show_progress(f"{name}: {cost.total():.2f} ms CPU")
    found = {kib: await run_stages(load, kib=kib, batch=batch, quick=quick) for kib in SIZES}
    section = Section()
    section.add(
        "CPU milliseconds for a job, or a synchronous request, in each process under load.",
        _cost_table(costs),
        f"Under this load a Celery message held {batch} requests, and a transaction of results "
        f"{results} of them. The commands of Redis that took most:",
        _command_table(commands, jobs),
        f"Stage by stage, each alone and by itself, {batch} jobs at a time where a stage takes "
        "several: CPU milliseconds of our own process for a job, and in brackets what passes on "
        "the clock, the work of PostgreSQL and Valkey included.",
        _stage_table(found),
    )
    return section


def _cost_table(costs: dict[str, Cost]) -> Table:
    rows = [
        (role, *(format_figure(cost.ms_per_job(role)) for cost in costs.values()))
        for role in ALL_ROLES
    ]
    rows.append(("all", *(format_figure(cost.total()) for cost in costs.values())))
    return Table(("process", *costs), rows)


async def _commands(load: Load) -> Commands:
    async with load.system.redis() as redis:
        facts = await redis.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): (int(fact["calls"]), int(fact["usec"]))
        for name, fact in facts.items()
    }


def _subtract(before: Commands, after: Commands) -> Commands:
    return {
        name: (calls - before.get(name, (0, 0))[0], usec - before.get(name, (0, 0))[1])
        for name, (calls, usec) in after.items()
    }


def _batch(commands: Commands, jobs: int, command: str) -> int:
    return max(1, round(jobs / max(1, commands.get(command, (0, 0))[0])))


def _command_table(commands: Commands, jobs: int) -> Table:
    most = sorted(commands.items(), key=lambda item: -item[1][1])[:COMMANDS]
    rows = [
        (f"`{name.upper()}`", format_figure(calls / jobs), format_figure(usec / jobs))
        for name, (calls, usec) in most
    ]
    return Table(("command", "calls a job", "µs a job"), rows)


def _stage_table(found: dict[int, list[Stage]]) -> Table:
    columns = list(found.values())
    rows = [
        (
            stages[0].name,
            *(f"{format_figure(s.cpu_ms)} ({format_figure(s.clock_ms)})" for s in stages),
        )
        for stages in zip(*columns, strict=True)
    ]
    return Table(("stage", *(f"{kib} KiB" for kib in found)), rows)
