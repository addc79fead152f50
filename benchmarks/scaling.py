"""List to row with one, two and three parsers."""

from benchmarks.backlog import list_to_row
from benchmarks.load import Load
from benchmarks.report import Section, Table, format_figure, show_progress

PARSERS = (1, 2, 3)
JOBS = {20: 4000, 200: 1500}
QUICK_SHARE = 0.2


async def measure(load: Load, *, quick: bool) -> Section:
    """Every size with every number of listeners."""
    await load.warm_up()
    rates: dict[int, list[float]] = {kib: [] for kib in JOBS}
    for parsers in PARSERS:
        async with load.system.extra_listeners(parsers - 1):
            show_progress(f"parsers: {parsers}")
            for kib, jobs in JOBS.items():
                count = int(jobs * (QUICK_SHARE if quick else 1))
                rates[kib].append(await list_to_row(load, count, kib=kib))
    rows = [(f"{kib} KiB", *map(format_figure, found)) for kib, found in rates.items()]
    section = Section()
    section.add(
        "Jobs per second from list to row, by the number of listeners, everything on this one "
        "machine.",
        Table(("size", *("1 parser" if n == 1 else f"{n} parsers" for n in PARSERS)), rows),
    )
    return section
