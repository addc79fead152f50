"""The Celery tasks, as shells: what they do round a use case."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api_service import tasks
from api_service.retention import CleanupProgress


class Runner:
    """Answers with one outcome after the other, whatever is to be run."""

    def __init__(self, outcomes: list[CleanupProgress]) -> None:
        self._outcomes: Iterator[CleanupProgress] = iter(outcomes)
        self.left = len(outcomes)

    def run(self, _: Callable[..., Any]) -> CleanupProgress:
        self.left -= 1
        return next(self._outcomes)


def test_a_clean_up_goes_on_in_slices_until_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slices = [
        CleanupProgress(200, is_done=False),
        CleanupProgress(200, is_done=False),
        CleanupProgress(7, is_done=True),
    ]
    runner = Runner(slices)
    monkeypatch.setattr(tasks, "runner", runner)
    tasks.cleanup_parse_requests.apply()
    assert runner.left == 0
