"""Notice a Celery worker that lives on and consumes nothing."""

import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import structlog

from api_service.process.alive import touch_alive_file

MAX_CELERY_IDLE_SECONDS = 60.0

log = structlog.get_logger()


class CeleryWatchdog:
    """Ends the results process, and so the pair, if the Celery worker next to it stopped consuming.

    Celery touches its file after each task, and gets one every two seconds. During a Redis or
    PostgreSQL outage this process touches Celery's file, so that Celery is not killed for it.
    Health checks look at both files.

    Args:
        own_alive_file: touched after each round of this process; None if no one looks.
        celery_alive_file: touched by Celery; None if Celery is not watched.
        clock: running time in seconds.
    """

    def __init__(
        self,
        *,
        own_alive_file: Path | None,
        celery_alive_file: Path | None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._own_file = own_alive_file
        self._celery_file = celery_alive_file
        self._clock = clock
        self._touched = 0
        self._touched_at = clock()

    def touch_and_exit_if_celery_idle(self) -> None:
        """Note that a round of the loop ended well, and look at Celery's file.

        Raises:
            SystemExit: Celery has not consumed anything for too long.
        """
        touch_alive_file(self._own_file)
        if self._celery_file and self._celery_file.exists():
            # Measured from the last change seen: a file's age would jump with the clock.
            if (touched := self._celery_file.stat().st_mtime_ns) != self._touched:
                self._touched, self._touched_at = touched, self._clock()
            idle = self._clock() - self._touched_at
            if idle > MAX_CELERY_IDLE_SECONDS:
                log.critical("Celery does not consume", seconds=round(idle))
                sys.exit(1)

    def keep_alive_during_outage(self) -> None:
        """Note that a round failed for a reason that Celery would fail for as well."""
        for file in (self._own_file, self._celery_file):
            if file and file.exists():
                touch_alive_file(file)
