"""`python -m benchmarks` measures the whole system; `make bench` is the way to call it.

With `--only NAME` one part, with `--quick` in about two minutes and into
`benchmarks/results/` instead of `docs/`.
"""

import argparse
import logging
import signal
import sys
from collections.abc import Awaitable
from time import monotonic
from typing import Protocol

import structlog
import uvloop

from benchmarks import backlog, growth, latency, scaling, stages, status_cost, throughput
from benchmarks.load import Load, open_load
from benchmarks.machine import machine
from benchmarks.report import Report, Section
from benchmarks.system import System, running_system


class Measurement(Protocol):
    """What measures something with a system of its own."""

    def __call__(self, load: Load, *, quick: bool) -> Awaitable[Section]: ...


async def _measure_machine(load: Load, *, quick: bool) -> Section:  # noqa: ARG001 - it is a part
    section = Section()
    section.add(await machine(load))
    return section


MEASUREMENTS: dict[str, Measurement] = {
    "machine": _measure_machine,
    "throughput": throughput.measure,
    "latency": latency.measure,
    "stages": stages.measure,
    "backlog": backlog.measure,
    "growth": growth.measure,
    "status": status_cost.measure,
    "scaling": scaling.measure,
}


async def _run(part: Measurement, system: System, *, quick: bool) -> Section:
    async with open_load(system) as load:
        return await part(load, quick=quick)


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", choices=MEASUREMENTS, action="append", help="this part; repeatable"
    )
    parser.add_argument("--quick", action="store_true", help="fewer jobs, and not into docs/")
    arguments = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("The benchmark reads Linux's /proc.")
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)  # for what is called in this process
    # So that everything is stopped and cleared away then, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    report = Report(publish=not arguments.quick)
    started = monotonic()
    for name in arguments.only or MEASUREMENTS:
        print(f"{name} ({monotonic() - started:.0f} s)", flush=True)
        with running_system() as system:
            report.write(name, uvloop.run(_run(MEASUREMENTS[name], system, quick=arguments.quick)))
    print(f"{report.page} is written; it took {monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
