"""Measure CPU time and memory of a system's processes, by role."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.system import System, command_line

ROLES = {
    "api": "api_service.main:app",
    "Celery worker": "api_service.worker",
    "results": "api_service.worker.results",
    "beat": "api_service.worker.beat",
    "parser, HTTP side": "parser_service.main:app",
    "listener": "parser_service.redis_listener",
}
"""Our processes: the role, and the word of the command line that names the module."""
STARTERS = "supervisor and scripts"
POSTGRES, VALKEY = "PostgreSQL", "Valkey"
OUR_ROLES = (*ROLES, STARTERS)
ALL_ROLES = (*OUR_ROLES, POSTGRES, VALKEY)


def cpu_seconds(system: System) -> dict[str, float]:
    """Return the user and system time used so far, by role."""
    used: defaultdict[str, float] = defaultdict(float)
    for role, process in _processes(system):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used[role] += times.user + times.system
            if role == POSTGRES:  # also its processes that have ended
                used[role] += times.children_user + times.children_system
    return dict(used)


def memory_bytes(system: System) -> dict[str, int]:
    """Return the proportional set size by role: each sharer counts its part of shared memory."""
    used: defaultdict[str, int] = defaultdict(int)
    for role, process in _processes(system):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            used[role] += _pss(process.pid)
    return dict(used)


@dataclass(frozen=True, slots=True)
class Cost:
    """Hold the CPU seconds that a number of jobs took, by role."""

    jobs: int
    seconds: dict[str, float]

    def ms_per_job(self, role: str) -> float:
        """Return milliseconds per job of one role."""
        return self.seconds.get(role, 0.0) * 1000 / self.jobs

    def total(self, roles: Iterable[str] = ALL_ROLES) -> float:
        """Return milliseconds per job of several roles together."""
        return sum(self.ms_per_job(role) for role in roles)


class Meter:
    """Count CPU time from its creation on."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._before = cpu_seconds(system)

    def cost(self, jobs: int) -> Cost:
        """Return the cost since the creation of this meter."""
        now = cpu_seconds(self._system)
        used = {role: now[role] - self._before.get(role, 0.0) for role in now}
        return Cost(jobs, used)


def _processes(system: System) -> Iterable[tuple[str, psutil.Process]]:
    """Yield each process of a system once, with its role; a child has its parent's role."""
    roots = {POSTGRES: system.postgres.process, VALKEY: system.valkey.process}
    for role, root in roots.items():
        if root is not None:
            process = psutil.Process(root.pid)
            yield role, process
            for child in process.children(recursive=True):
                yield role, child
    yield from _with_children(STARTERS, system.process)
    for listener in system.listeners():
        if system.process not in listener.parents():
            yield from _with_children("listener", listener)


def _with_children(role: str, process: psutil.Process) -> Iterable[tuple[str, psutil.Process]]:
    words = command_line(process).split()
    role = next((name for name, module in ROLES.items() if module in words), role)
    yield role, process
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in process.children():
            yield from _with_children(role, child)


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
