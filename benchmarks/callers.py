"""Measure what it costs that a request has an owner with limits, beside anonymous requests.

Both kinds are sent to one API, in turns, so that other work on the machine falls on both.
"""

import asyncio
import contextlib
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from time import perf_counter
from uuid import UUID

import aiohttp
import psutil

from benchmarks.api_of_callers import LIMIT_HEADER, OWNER_HEADER
from benchmarks.load import Load, percentile
from benchmarks.report import Section, Table, format_figure, show_progress
from benchmarks.system import ROOT
from benchmarks.usage import POSTGRES, Meter
from local.addresses import free_port
from local.system import API_COMMAND

KINDS = {
    "anonymous": {},
    "of an owner": {OWNER_HEADER: str(UUID(int=1)), LIMIT_HEADER: "100000"},
}
TURNS = 6
START_SECONDS = 30
JOBS, LONE_JOBS = 2000, 60

Figures = defaultdict[str, list[float]]


@dataclass(frozen=True, slots=True)
class _Api:
    url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Return the user and system time used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


async def measure(load: Load, *, quick: bool) -> Section:
    """Run as many jobs of each kind in turns, the first kind first in every second turn."""
    turns = 2 if quick else TURNS
    found: dict[str, Figures] = {name: defaultdict(list) for name in KINDS}
    async with _running_api(load) as api:
        for turn in range(-1, turns):
            for name in list(KINDS)[:: 1 if turn % 2 else -1]:
                figures = await _measure_kind(load, api, name, quick=quick)
                if turn < 0:
                    continue  # the first turn warms up
                for what, value in figures.items():
                    found[name][what].append(value)
                show_progress(
                    f"{name}: " + ", ".join(f"{w} {format_figure(v)}" for w, v in figures.items())
                )
    section = Section()
    section.add(
        f"{JOBS:,} jobs of 20 KiB, 64 POSTs at a time, and {LONE_JOBS} lone jobs, anonymous ones "
        f"and those of one owner with limits in {turns} turns: medians. The API finds the caller "
        "in a header: what it costs to find the caller of a key is not in this.",
        _table(found),
    )
    return section


async def _measure_kind(load: Load, api: _Api, name: str, *, quick: bool) -> dict[str, float]:
    jobs, lone = (JOBS // 4, LONE_JOBS // 2) if quick else (JOBS, LONE_JOBS)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), headers=KINDS[name]
    ) as session:
        own = replace(load, session=session, system=replace(load.system, url=api.url))
        meter, before = Meter(load.system), api.cpu_seconds()
        rate = await own.run_jobs(jobs, kib=20)
        cost, used = meter.cost(jobs), api.cpu_seconds() - before
        times = []
        for number in range(lone):
            started = perf_counter()
            request_id = await own.submit(load.system.page(20, number))
            await own.get(f"/status/{request_id}?wait=30")
            times.append((perf_counter() - started) * 1000)
    return {
        "jobs/s": rate,
        "API, CPU ms": used * 1000 / jobs,
        "results, CPU ms": cost.ms_per_job("results"),
        "PostgreSQL, CPU ms": cost.ms_per_job(POSTGRES),
        "all, CPU ms": cost.total() + used * 1000 / jobs,
        "lone job p50, ms": percentile(times, 0.5),
    }


def _table(found: dict[str, Figures]) -> Table:
    head = list(found["anonymous"])
    medians = {
        name: [percentile(figures[what], 0.5) for what in head] for name, figures in found.items()
    }
    rows = [(name, *map(format_figure, values)) for name, values in medians.items()]
    first, second = medians.values()
    rows.append(("ratio", *(format_figure(b / a) for a, b in zip(first, second, strict=True))))
    return Table(("jobs", *head), rows)


@contextlib.asynccontextmanager
async def _running_api(load: Load) -> AsyncIterator[_Api]:
    """Run another API on the system's servers, which finds callers in a header."""
    port = free_port()
    command = API_COMMAND.replace("api_service.main:app", "benchmarks.api_of_callers:app")
    with (load.system.logs / "api-of-callers.log").open("wb") as log:
        started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *command.split(), "--port", str(port)),
            cwd=ROOT,
            env=os.environ | load.system.environment,
            stdout=log,
        )
    api = _Api(f"http://127.0.0.1:{port}", psutil.Process(started.pid))
    end = perf_counter() + START_SECONDS
    try:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with load.session.get(f"{api.url}/health") as answer:
                    if answer.status == 200:
                        break
            if perf_counter() > end or started.returncode is not None:
                raise RuntimeError("the API of callers does not start")
            await asyncio.sleep(0.1)
        yield api
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.terminate()
        await started.wait()
