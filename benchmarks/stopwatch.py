"""Times stages of work: CPU of this process, and time on the clock."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter, process_time


@dataclass(slots=True)
class Stage:
    """What a stage has taken so far, in seconds, for how many jobs."""

    name: str
    jobs: int = 0
    cpu: float = 0.0
    clock: float = 0.0

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds for one job."""
        return self.cpu * 1000 / max(1, self.jobs)

    @property
    def clock_ms(self) -> float:
        """Milliseconds on the clock for one job."""
        return self.clock * 1000 / max(1, self.jobs)


class Stopwatch:
    """The stages in the order in which they were first met."""

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}

    @property
    def stages(self) -> list[Stage]:
        """All of them."""
        return list(self._stages.values())

    @contextlib.contextmanager
    def stage(self, name: str, jobs: int) -> Iterator[None]:
        """Count what happens in the block as work for so many jobs."""
        cpu, clock = process_time(), perf_counter()
        yield
        self.add(name, jobs, cpu=process_time() - cpu, clock=perf_counter() - clock)

    def add(self, name: str, jobs: int, *, cpu: float, clock: float) -> None:
        """Count what another process has done."""
        stage = self._stages.setdefault(name, Stage(name))
        stage.jobs += jobs
        stage.cpu += cpu
        stage.clock += clock
