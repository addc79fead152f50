"""Beat's periods go by running time."""

from datetime import UTC, datetime, timedelta

import pytest

from api_service import celery_app as module
from api_service.celery_app import MonotonicInterval


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_the_first_is_due_at_once_and_the_next_after_its_period(running: list[float]) -> None:
    every = MonotonicInterval(10)
    last = datetime(2026, 1, 1, tzinfo=UTC)
    assert every.is_due(last) == (True, 10)
    running[0] += 4
    assert every.is_due(last) == (False, 6)
    running[0] += 6
    assert every.is_due(last) == (True, 10)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_jumps_changes_nothing(running: list[float], jump: timedelta) -> None:
    every = MonotonicInterval(10)
    last = datetime(2026, 1, 1, tzinfo=UTC)
    every.is_due(last)
    running[0] += 1
    assert every.is_due(last + jump) == (False, 9)
