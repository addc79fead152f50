"""Run every attack alone, then all of them together, and compare with the limits.

    python -m tests.system.attack [NAME...]

`make attack` runs it. NAME is the beginning of an attack's name; the default is all of them. It
exits with 1 where a limit is broken.

A machine that does other things makes everything slower. So what the event loop lost is counted
against a run without an attack, and the limit for it has room: a stall of `LIMIT_STALL` on a
quiet machine may be `NOISE` times as long here. What is not told apart from noise is found by
`make fuzz`, which counts the processor's time.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import monotonic

from tests.system.attack.attacks import ATTACKS, Attack
from tests.system.attack.measure import Figures, Target, attack, target_in, watching

LIMIT_STALL, LIMIT_MEMORY, LIMIT_NEIGHBOUR = 0.050, 600.0, 1.0
"""Seconds of the event loop for one attack, MiB in all, and seconds for a neighbour's page."""
NOISE = 4
CALM_SECONDS = 5
TOGETHER = "all together"


async def measured(target: Target, named: dict[str, Attack]) -> Figures:
    """Run some attacks at once, and go on to watch for a moment."""
    figures = Figures()
    async with watching(target, figures):
        await asyncio.sleep(0.5)
        if named:
            await attack(target, named, figures)
        await asyncio.sleep(0.5 if named else CALM_SECONDS)
    return figures


def breaches(name: str, found: Figures, calm: Figures) -> list[str]:
    """Return a sentence for each limit that one run broke."""
    stall = max(found.stalls) - max(calm.stalls)
    slowest = max([*found.small, *found.big, *found.jobs])
    told = []
    # All at once is as slow as the sum of its parts: there the neighbours' time counts.
    if name != TOGETHER and stall > NOISE * LIMIT_STALL:
        told.append(f"the event loop stood for {stall * 1000:.0f} ms")
    if found.peak > LIMIT_MEMORY:
        told.append(f"the parser took {found.peak:.0f} MiB")
    if slowest - max([*calm.small, *calm.big, *calm.jobs]) > LIMIT_NEIGHBOUR:
        told.append(f"a neighbour waited {slowest:.1f} s")
    told += [f"{n} pages of neighbours: {outcome}" for outcome, n in found.failed.items()]
    return [f"{name}: {one}" for one in told]


def row(name: str, seconds: float, found: Figures) -> str:
    """Return a line of the table."""
    times = " | ".join(
        f"{median(values) * 1000:.0f} / {max(values) * 1000:.0f}"
        for values in (found.stalls, found.small, found.big, found.jobs)
    )
    codes = ", ".join(f"{code}: {n}" for code, n in sorted(found.codes.items())) or "-"
    return f"| {name} | {seconds:.0f} | {times} | {found.peak:.0f} | {codes} |"


async def run(names: list[str], folder: Path) -> list[str]:
    """Run the attacks, print the table, and return the breaches."""
    chosen = {
        name: one
        for name, one in ATTACKS.items()
        if not names or any(name.lower().startswith(begin.lower()) for begin in names)
    }
    runs = [("no attack", {}), *((name, {name: one}) for name, one in chosen.items())]
    if len(chosen) > 1:
        runs.append((TOGETHER, chosen))
    print("| attack | s | health, ms: median / longest | small | big | job | MiB | codes |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    found: list[str] = []
    calm: Figures | None = None
    async with target_in(folder, hosts=max((one.hosts for one in chosen.values()), default=1)) as t:
        for name, named in runs:
            started = monotonic()
            figures = await measured(t, named)
            calm = calm or figures
            print(row(name, monotonic() - started, figures), flush=True)
            found += breaches(name, figures, calm)
    return found


def main() -> int:
    """Run as the arguments say, and return the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="page-parser-attack-"))
    found = asyncio.run(run(sys.argv[1:], folder))
    print("\n".join(["", *found] if found else ["", "Every limit held."]))
    if found:
        print(f"The parser's log is in {folder}.")
    else:
        shutil.rmtree(folder)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
