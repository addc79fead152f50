"""The Celery worker's process: what it makes when it starts, keeps, and closes when it stops.

Celery signals these moments. Tasks find the process by `process/current.py`.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
from celery.signals import (
    task_postrun,
    worker_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from redis.exceptions import RedisError

from api_service.assembly.worker import WorkerContext, open_worker
from api_service.celery_app import SWEEP_PERIOD_SECONDS, celery_app
from api_service.config import Settings
from api_service.exceptions import ApiError, CannotStartError
from api_service.process.alive import touch_alive_file
from api_service.process.current import CallWithCollaborators, set_current_worker
from api_service.queueing.sweep import SweepCooldown
from api_service.worker.pulse import PulseTaskSender
from api_service.worker.runner import TaskRunner

T = TypeVar("T")

log = structlog.get_logger()


class WorkerProcess:
    """One worker: its event loop and collaborators, and its pulse.

    Raises:
        CannotStartError, DatabaseUnavailableError: the worker cannot start.
    """

    def __init__(self, settings: Settings) -> None:
        self._alive_file = settings.alive_file
        self._runner = TaskRunner(_open_celery_worker(settings))
        self._pulse = PulseTaskSender(celery_app)

    def run_or_log_outage(self, call: CallWithCollaborators[T]) -> T | None:
        """Run a use case; if a server is unreachable, log it and return None.

        The sweep finds what was not done when the server is back.
        """
        try:
            return self._runner.run(lambda context: call(context.collaborators))
        except (ApiError, RedisError, OSError) as error:
            log.warning("task given up", error=repr(error)[:200])
            return None

    def start_pulse(self) -> None:
        """Begin to send the tasks by which a healthy worker proves itself."""
        self._pulse.start()

    def stop_pulse(self) -> None:
        """Stop sending them: the worker is shutting down."""
        self._pulse.request_stop()

    def record_task(self) -> None:
        """Touch the alive file: this worker consumes."""
        touch_alive_file(self._alive_file)

    def close(self) -> None:
        """Disconnect and end the loop."""
        self._runner.close()


@asynccontextmanager
async def _open_celery_worker(settings: Settings) -> AsyncIterator[WorkerContext]:
    """Open what all processes of the worker have, and what only Celery's tasks use."""
    async with open_worker(settings) as context:
        context.collaborators.add(SweepCooldown(SWEEP_PERIOD_SECONDS / 2))
        yield context


@worker_init.connect
def _on_worker_init(**_: Any) -> None:
    try:
        process = WorkerProcess(Settings.load_or_exit())
    except (CannotStartError, ApiError) as error:
        sys.exit(str(error))
    worker_ready.connect(lambda **_: process.start_pulse(), weak=False)
    task_postrun.connect(lambda **_: process.record_task(), weak=False)
    worker_shutting_down.connect(lambda **_: process.stop_pulse(), weak=False)
    worker_shutdown.connect(lambda **_: process.close(), weak=False)
    set_current_worker(process)
