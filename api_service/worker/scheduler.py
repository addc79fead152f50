"""Celery's beat, made independent of the time of day.

Celery's own waits for a time of day: were the clock set back by an hour, nothing would be sent
for one. Here a period goes by the process's own running time. A schedule by the calendar is
looked at anew when its time has passed by that measure.
"""

from datetime import datetime
from time import monotonic

from celery.beat import PersistentScheduler, ScheduleEntry
from celery.schedules import schedstate, schedule


class MonotonicInterval(schedule):  # type: ignore[misc] # Celery carries no types
    """A period by running time; the first is over at once."""

    _due_at = 0.0

    def is_due(self, last_run_at: datetime) -> schedstate:  # noqa: ARG002 - a time of day
        """Whether it is time, and seconds until the next look."""
        if (left := self._due_at - monotonic()) > 0:
            return schedstate(is_due=False, next=left)
        self._due_at = monotonic() + self.seconds
        return schedstate(is_due=True, next=self.seconds)


class SteadyScheduler(PersistentScheduler):  # type: ignore[misc] # Celery carries no types
    """Orders what comes next by running time."""

    def _when(self, _entry: ScheduleEntry, seconds: float | None, **_: object) -> float:
        return monotonic() + (self.adjust(seconds) or 0.0)
