"""How long one job takes from POST to its end, and how quick health checks are under load."""

import asyncio
import json
import sys
from time import perf_counter

from benchmarks.load import FINAL, Load, percentile
from benchmarks.plots import Line, Plot
from benchmarks.report import Section, Table, format_figure, show_progress
from benchmarks.system import ROOT

POLL_SECONDS = 0.005
SHARES = (0.5, 0.9, 0.99)


async def measure(load: Load, *, quick: bool) -> Section:
    """One job at a time, in both ways to wait; then health checks beside many jobs."""
    await load.warm_up()
    jobs = 60 if quick else 400
    waited = [await _one_job(load, n, wait=True) for n in range(jobs)]
    show_progress(f"with ?wait=: {percentile(waited, 0.5):.1f} ms")
    polled = [await _one_job(load, n, wait=False) for n in range(jobs)]
    show_progress(f"polling: {percentile(polled, 0.5):.1f} ms")
    health = await _health_under_load(load, jobs=800 if quick else 5000)
    for name, times in health.items():
        show_progress(f"/health of the {name} under load: p99 {percentile(times, 0.99):.1f} ms")
    section = Section()
    section.add(
        "Milliseconds from POST to the final status, one job at a time, of a site that answers "
        "at once.",
        _table(
            {
                "`GET /status/{id}?wait=30`": waited,
                f"`GET /status/{{id}}` every {POLL_SECONDS * 1000:g} ms": polled,
            }
        ),
        Plot(
            name="latency",
            title="Latency of one job",
            x_label="milliseconds from POST to final status",
            y_label="share of jobs, %",
            lines=[_cumulative_line("?wait=", waited), _cumulative_line("polling", polled)],
        ),
        "Milliseconds for `GET /health` while as many jobs run as the system can take.",
        _table({f"of the {name}": times for name, times in health.items()}),
    )
    return section


async def _one_job(load: Load, number: int, *, wait: bool) -> float:
    started = perf_counter()
    request_id = await load.submit(load.system.page(20, number))
    path = f"/status/{request_id}" + ("?wait=30" if wait else "")
    while (await load.get(path))["status"] not in FINAL:
        if not wait:
            await asyncio.sleep(POLL_SECONDS)
    return (perf_counter() - started) * 1000


async def _health_under_load(load: Load, *, jobs: int) -> dict[str, list[float]]:
    """Asked by processes of their own: this one is busy with the load."""
    urls = {"API": load.system.url, "parser": load.system.parser_url}
    watches = {
        name: await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.url_poller", f"{url}/health"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        for name, url in urls.items()
    }
    await load.run_jobs(jobs, kib=20)
    return {name: json.loads((await watch.communicate(b""))[0]) for name, watch in watches.items()}


def _table(found: dict[str, list[float]]) -> Table:
    rows = [
        (name, *(format_figure(percentile(times, share)) for share in SHARES), f"{len(times)}")
        for name, times in found.items()
    ]
    return Table(("how", "p50", "p90", "p99", "measured"), rows)


def _cumulative_line(name: str, times: list[float]) -> Line:
    """Which share of the jobs has taken so long at most; the last hundredth is left out."""
    shares = range(1, 100)
    return Line(name, [percentile(times, share / 100) for share in shares], list(shares))
