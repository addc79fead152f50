"""Time stages of work: CPU time of this process, and elapsed time."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter, process_time


@dataclass(slots=True)
class Stage:
    """Add up the seconds that a stage took, and its jobs."""

    name: str
    jobs: int = 0
    cpu: float = 0.0
    clock: float = 0.0

    @property
    def cpu_ms(self) -> float:
        """Return CPU milliseconds per job."""
        return self.cpu * 1000 / max(1, self.jobs)

    @property
    def clock_ms(self) -> float:
        """Return elapsed milliseconds per job."""
        return self.clock * 1000 / max(1, self.jobs)


class Stopwatch:
    """Keep stages in the order in which they first ran."""

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}

    @property
    def stages(self) -> list[Stage]:
        """Return all stages in order."""
        return list(self._stages.values())

    @contextlib.contextmanager
    def stage(self, name: str, jobs: int) -> Iterator[None]:
        """Count the block as work of a stage for `jobs` jobs."""
        cpu, clock = process_time(), perf_counter()
        yield
        self.add(name, jobs, cpu=process_time() - cpu, clock=perf_counter() - clock)

    def add(self, name: str, jobs: int, *, cpu: float, clock: float) -> None:
        """Count work that another process did."""
        stage = self._stages.setdefault(name, Stage(name))
        stage.jobs += jobs
        stage.cpu += cpu
        stage.clock += clock
