"""Send the worker a task every two seconds: a healthy one proves itself by running it."""

import threading

import structlog
from celery import Celery

from api_service.celery_app import CONTROL_QUEUE, PULSE_TASK
from api_service.queueing.enqueue import TaskSender

PULSE_PERIOD_SECONDS = 2.0

log = structlog.get_logger()


class PulseTaskSender:
    """Publishes the task `api.pulse` from a thread of the worker.

    A worker has been seen to live on without consuming after its connection broke. Its watchdog
    ends it if no task ran for a while, so there must always be a task to run.
    """

    def __init__(self, app: Celery) -> None:
        self._sender = TaskSender(app, timeout=PULSE_PERIOD_SECONDS)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def request_stop(self) -> None:
        """Stop publishing."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._sender.send(PULSE_TASK, queue=CONTROL_QUEUE)
            except Exception as error:  # noqa: BLE001 - it tries again as long as it lives
                log.warning("pulse not published", error=repr(error)[:200])
            self._stopping.wait(PULSE_PERIOD_SECONDS)
        self._sender.disconnect()
