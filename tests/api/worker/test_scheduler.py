"""Beat's periods go by running time."""

import gc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery.signals import after_task_publish, beat_init

from api_service import celery_app as module
from api_service.celery_app import MonotonicInterval, celery_app
from api_service.metrics import beat
from api_service.process import log
from api_service.worker import scheduler
from tests.support.metrics import Growth


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


def test_what_comes_next_is_ordered_by_running_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "monotonic", lambda: 100.0)
    steady = scheduler.MonotonicScheduler(celery_app, lazy=True)
    entry = steady.Entry("api.sweep", schedule=MonotonicInterval(10), app=celery_app)
    assert steady._when(entry, 10) == 100 + steady.adjust(10)
    assert steady._when(entry, 0) == steady._when(entry, None) == 100


def test_beat_counts_what_it_publishes_and_touches_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "alive"
    monkeypatch.setenv("BEAT_ALIVE_FILE", str(file))
    monkeypatch.setattr(log, "configure", lambda *_: None)
    receivers = list(after_task_publish.receivers)
    counted = Growth(beat.REGISTRY)
    try:
        beat_init.send(sender=None)
        gc.collect()  # the handler must outlive the function that connected it
        after_task_publish.send(sender="api.sweep")
    finally:
        after_task_publish.receivers[:] = receivers
    assert counted.grown() == {"page_parser_beat_published_total{task=api.sweep}": 1}
    assert file.exists()
