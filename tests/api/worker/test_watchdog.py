"""A Celery worker that lives on and consumes nothing is noticed, and no other."""

import os
from pathlib import Path

import pytest

from api_service.worker.watchdog import MAX_CELERY_IDLE_SECONDS, CeleryWatchdog
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watchdog(tmp_path: Path, clock: Clock) -> CeleryWatchdog:
    (tmp_path / "celery").touch()
    return CeleryWatchdog(
        own_alive_file=tmp_path / "own", celery_alive_file=tmp_path / "celery", clock=clock
    )


def _touch(file: Path, nanoseconds: int) -> None:
    os.utime(file, ns=(nanoseconds, nanoseconds))


def test_a_silent_worker_ends_the_pair(watchdog: CeleryWatchdog, clock: Clock) -> None:
    watchdog.touch_and_exit_if_celery_idle()
    clock.now += MAX_CELERY_IDLE_SECONDS - 1
    watchdog.touch_and_exit_if_celery_idle()
    clock.now += 2
    with pytest.raises(SystemExit):
        watchdog.touch_and_exit_if_celery_idle()


def test_a_worker_that_consumes_is_left_alone_whatever_the_time_of_day(
    watchdog: CeleryWatchdog, clock: Clock, tmp_path: Path
) -> None:
    for round_number in range(10):
        # Back and forth: only the change counts, not the age.
        _touch(tmp_path / "celery", 10**9 * (10**6 - round_number * 3600))
        watchdog.touch_and_exit_if_celery_idle()
        clock.now += MAX_CELERY_IDLE_SECONDS - 1


def test_an_outage_is_not_the_workers_fault(
    watchdog: CeleryWatchdog, clock: Clock, tmp_path: Path
) -> None:
    _touch(tmp_path / "celery", 1)
    watchdog.touch_and_exit_if_celery_idle()
    clock.now += MAX_CELERY_IDLE_SECONDS * 10
    watchdog.keep_alive_during_outage()
    watchdog.touch_and_exit_if_celery_idle()


def test_its_own_file_tells_that_it_works(watchdog: CeleryWatchdog, tmp_path: Path) -> None:
    assert not (tmp_path / "own").exists()
    watchdog.touch_and_exit_if_celery_idle()
    assert (tmp_path / "own").exists()


def test_without_files_nothing_is_watched(clock: Clock) -> None:
    watchdog = CeleryWatchdog(own_alive_file=None, celery_alive_file=None, clock=clock)
    watchdog.touch_and_exit_if_celery_idle()
    clock.now += MAX_CELERY_IDLE_SECONDS * 10
    watchdog.touch_and_exit_if_celery_idle()
    watchdog.keep_alive_during_outage()
