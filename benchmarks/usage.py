"""What the processes of a system use: CPU time and memory, by what they are there for."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.system import System, command_line

ROLES = {
    "api": "api_service.main",
    "Celery worker": "api_service.worker",
    "results": "api_service.worker.results",
    "beat": "api_service.worker.beat",
    "parser, HTTP side": "parser_service.main",
    "listener": "parser_service.redis_listener",
}
"""Our processes, each by the module that it runs."""
STARTERS = "supervisor and scripts"
POSTGRES, VALKEY = "PostgreSQL", "Valkey"
OUR_ROLES = (*ROLES, STARTERS)
ALL_ROLES = (*OUR_ROLES, POSTGRES, VALKEY)


def cpu_seconds(system: System) -> dict[str, float]:
    """User and system time used so far, by role."""
    used: defaultdict[str, float] = defaultdict(float)
    for role, process in _processes(system):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used[role] += times.user + times.system
            if role == POSTGRES:  # its processes come and go
                used[role] += times.children_user + times.children_system
    return dict(used)


def memory_bytes(system: System) -> dict[str, int]:
    """Proportional set size, by role: what is shared counts in parts."""
    used: defaultdict[str, int] = defaultdict(int)
    for role, process in _processes(system):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            used[role] += _pss(process.pid)
    return dict(used)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time that a number of jobs took, in seconds, by role."""

    jobs: int
    seconds: dict[str, float]

    def ms_per_job(self, role: str) -> float:
        """Of one role."""
        return self.seconds.get(role, 0.0) * 1000 / self.jobs

    def total(self, roles: Iterable[str] = ALL_ROLES) -> float:
        """Milliseconds a job, of several roles together."""
        return sum(self.ms_per_job(role) for role in roles)


class Meter:
    """Counts CPU time from its making on."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._before = cpu_seconds(system)

    def cost(self, jobs: int) -> Cost:
        """Of what has happened since."""
        now = cpu_seconds(self._system)
        used = {role: now[role] - self._before.get(role, 0.0) for role in now}
        return Cost(jobs, used)


def _processes(system: System) -> Iterable[tuple[str, psutil.Process]]:
    """All processes of a system, each once, with its role; a child has its parent's."""
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
    command = command_line(process)
    role = next((name for name, module in ROLES.items() if module in command), role)
    yield role, process
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in process.children():
            yield from _with_children(role, child)


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
