"""Measure the whole system: `python -m benchmarks`, or `make bench`, which installs its packages.

`--only NAME` runs one part. `--quick` takes about two minutes and writes into
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

from benchmarks import backlog, callers, growth, latency, scaling, stages, status_cost, throughput
from benchmarks.load import Load, open_load
from benchmarks.machine import machine
from benchmarks.report import Report, Section
from benchmarks.system import System, running_system


class Measurement(Protocol):
    """Measure one part on a freshly started system; return its section of the report."""

    def __call__(self, load: Load, *, quick: bool) -> Awaitable[Section]: ...


async def _measure_machine(load: Load, *, quick: bool) -> Section:  # noqa: ARG001 - a Measurement
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
    "callers": callers.measure,
    "scaling": scaling.measure,
}


async def _run(part: Measurement, system: System, *, quick: bool) -> Section:
    async with open_load(system) as load:
        return await part(load, quick=quick)


def main() -> None:
    """Run the parts that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", choices=MEASUREMENTS, action="append", help="run this part only; repeatable"
    )
    parser.add_argument(
        "--quick", action="store_true", help="run fewer jobs, and do not write into docs/"
    )
    arguments = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("The benchmark reads Linux's /proc.")
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)  # for service code that runs in this process
    # Exit by exception, so that SIGTERM also stops the system and deletes its folder.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    report = Report(publish=not arguments.quick)
    started = monotonic()
    for name in arguments.only or MEASUREMENTS:
        print(f"{name} ({monotonic() - started:.0f} s)", flush=True)
        with running_system() as system:
            report.write(name, uvloop.run(_run(MEASUREMENTS[name], system, quick=arguments.quick)))
    print(f"wrote {report.page} in {monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
