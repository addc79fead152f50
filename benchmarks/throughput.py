"""Jobs per second and synchronous requests per second, by how many are sent at a time."""

from benchmarks.load import SITE_DELAY_MS, Load
from benchmarks.plots import Line, Plot
from benchmarks.report import Section, Table, format_figure, show_progress

CONCURRENCIES = (1, 4, 16, 64)
SIZES = (20, 200)
JOBS = {1: 500, 4: 1500, 16: 3000, 64: 4000}
REQUESTS = {1: 600, 4: 1200, 16: 1500, 64: 1500}
LARGE_SHARE = 0.4
QUICK_SHARE = 0.15


async def measure(load: Load, *, quick: bool) -> Section:
    """Every kind, size and number at a time, each for a few seconds."""
    await load.warm_up()
    found: dict[tuple[str, int], list[float]] = {}
    for kib in SIZES:
        share = (1.0 if kib == SIZES[0] else LARGE_SHARE) * (QUICK_SHARE if quick else 1.0)
        for concurrency in CONCURRENCIES:
            jobs = max(40, int(JOBS[concurrency] * share))
            rate = await load.run_jobs(jobs, kib=kib, concurrency=concurrency)
            found.setdefault(("async", kib), []).append(rate)
            show_progress(f"async, {kib} KiB, {concurrency} at a time: {rate:.0f} jobs/s")
        for concurrency in CONCURRENCIES:
            requests = max(40, int(REQUESTS[concurrency] * share))
            rate = await load.run_sync(requests, kib=kib, concurrency=concurrency)
            found.setdefault(("sync", kib), []).append(rate)
            show_progress(f"sync, {kib} KiB, {concurrency} at a time: {rate:.0f} requests/s")
    return _section(found)


def _section(found: dict[tuple[str, int], list[float]]) -> Section:
    rows = [
        (f"{kind}, {kib} KiB", *map(format_figure, rates))
        for (kind, kib), rates in sorted(found.items(), key=lambda item: item[0])
    ]
    lines = [
        Line(f"{kind}, {kib} KiB", CONCURRENCIES, rates, dashed=kib == SIZES[1])
        for (kind, kib), rates in sorted(found.items(), key=lambda item: item[0])
    ]
    section = Section()
    section.add(
        f"Jobs (async) and requests (sync) per second, by how many POSTs or GETs are under way at "
        f"a time. A job has ended when its row has. The site takes {SITE_DELAY_MS} ms for a page "
        f"of a job, and none for one of a synchronous request.",
        Table(("kind and size", *(f"{n} at a time" for n in CONCURRENCIES)), rows),
        Plot(
            name="throughput",
            title="Throughput over concurrency",
            x_label="under way at a time",
            y_label="per second",
            lines=lines,
            log_x=True,
            ticks=CONCURRENCIES,
        ),
    )
    return section
