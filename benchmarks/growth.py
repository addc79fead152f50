"""What the processes keep in memory: idle, and as the number of jobs grows."""

import asyncio

from benchmarks.load import Load
from benchmarks.plots import Line, Plot
from benchmarks.report import Section, Table, format_figure, format_megabytes, show_progress
from benchmarks.usage import ALL_ROLES, OUR_ROLES, STARTERS, memory_bytes

STEPS = 10
SETTLE_SECONDS = 2.0


async def measure(load: Load, *, quick: bool) -> Section:
    """Memory before any job, and after each tenth of them."""
    step = 500 if quick else 5000
    idle = memory_bytes(load.system)
    show_progress(f"idle: {sum(idle.get(role, 0) for role in OUR_ROLES) / 1e6:.0f} MB")
    await load.warm_up()
    used: list[dict[str, int]] = []
    for number in range(1, STEPS + 1):
        rate = await load.run_jobs(step, kib=20)
        await asyncio.sleep(SETTLE_SECONDS)
        used.append(memory_bytes(load.system))
        show_progress(f"after {number * step:,} jobs ({rate:.0f}/s): {_summarise(used[-1])}")
    # A quick run is over before the first real step: there, the second is where it begins.
    first = 1 if quick else 0
    section = Section()
    section.add(
        "Memory (PSS) in MB, before the first job and after so many of 20 KiB.",
        _table(idle, used, step, first),
        Plot(
            name="memory",
            title="Memory over jobs",
            x_label="jobs done",
            y_label="PSS, MB",
            lines=[
                Line(
                    role,
                    [step * (n + 1) for n in range(STEPS)],
                    [memory[role] / 1e6 for memory in used],
                )
                for role in OUR_ROLES
                if role != STARTERS
            ],
        ),
    )
    return section


def _summarise(used: dict[str, int]) -> str:
    return ", ".join(f"{role} {size / 1e6:.0f}" for role, size in used.items())


def _table(idle: dict[str, int], used: list[dict[str, int]], step: int, first: int) -> Table:
    def row(name: str, roles: tuple[str, ...]) -> tuple[str, ...]:
        before, early, late = (
            sum(memory.get(role, 0) for role in roles) for memory in (idle, used[first], used[-1])
        )
        return name, *map(format_megabytes, (before, early, late)), format_figure(late / early)

    rows = [row(role, (role,)) for role in ALL_ROLES]
    rows.insert(len(OUR_ROLES), row("all of ours", OUR_ROLES))
    jobs = (step * (first + 1), step * STEPS)
    return Table(("process", "idle", *(f"after {n:,}" for n in jobs), "ratio"), rows)
