"""The Celery tasks, as shells: what they do round a use case."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api_service import tasks
from api_service.queueing.sweep import Cooldown
from api_service.retention import CleanupProgress
from api_service.worker import process


class Process:
    """Answers with one outcome after the other, whatever it is asked to run."""

    def __init__(self, outcomes: list[Any]) -> None:
        self.sweep_cooldown = Cooldown(3600)
        self._outcomes: Iterator[Any] = iter(outcomes)
        self.left = len(outcomes)

    def run(self, _: Callable[..., Any]) -> Any:
        self.left -= 1
        return next(self._outcomes)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    process.install(None)


def test_a_clean_up_goes_on_in_slices_until_nothing_is_left() -> None:
    slices = [
        CleanupProgress(200, is_done=False),
        CleanupProgress(200, is_done=False),
        CleanupProgress(7, is_done=True),
    ]
    here = Process(slices)
    process.install(here)
    tasks.cleanup_parse_requests.apply()
    assert here.left == 0


def test_sweeps_that_have_piled_up_are_skipped() -> None:
    here = Process([None, None, None])
    process.install(here)
    for _ in range(3):
        tasks.sweep.apply()
    assert here.left == 2


def test_a_task_without_a_worker_process_says_so() -> None:
    with pytest.raises(RuntimeError, match="not been initialised"):
        tasks.pulse.apply(throw=True)
