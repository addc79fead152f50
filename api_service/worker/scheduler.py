"""Celery's scheduler, made independent of the time of day. Celery loads it in beat only.

Celery's own waits for a time of day: if the clock were set back by an hour, nothing would be sent
for an hour. Here a period goes by the process's own running time. A schedule by the calendar is
looked at again when its time has passed by that measure.
"""

import logging
from time import monotonic
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry
from celery.signals import after_task_publish, beat_init

from api_service.config import Settings
from api_service.metrics import beat as metrics
from api_service.metrics import exposition
from api_service.process import log
from api_service.process.alive import touch_alive_file


class MonotonicScheduler(PersistentScheduler):  # type: ignore[misc] # Celery carries no types
    """Orders what comes next by running time."""

    def _when(self, _entry: ScheduleEntry, seconds: float | None, **_: object) -> float:
        return monotonic() + (self.adjust(seconds) or 0.0)


@beat_init.connect
def _on_beat_init(**_: Any) -> None:
    settings = Settings.load_or_exit()
    log.configure("beat", settings.log_level)  # also where Celery's command line runs beat
    if settings.log_level != "DEBUG":
        logging.getLogger("celery.beat").setLevel(logging.WARNING)  # else a line for each sweep
    exposition.serve(metrics.REGISTRY, host=settings.metrics_host, port=settings.metrics_port)

    def on_publish(sender: str, **_: Any) -> None:
        metrics.count_published_task(sender)
        touch_alive_file(settings.beat_alive_file)

    after_task_publish.connect(on_publish, weak=False)
