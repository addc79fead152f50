"""Celery's tasks: shells round coroutines of the service, which tests call without them."""

import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import structlog
from celery import Task
from celery.signals import (
    task_postrun,
    worker_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from redis.exceptions import RedisError

from api_service.celery_app import (
    CLEANUP,
    PARSE_URL,
    PARSE_URLS,
    PULSE,
    SWEEP,
    SWEEP_SECONDS,
    celery_app,
)
from api_service.exceptions import ApiError, SchemaOutdatedError
from api_service.queueing.enqueue import PulsePublisher
from api_service.worker.context import TaskRunner, WorkerContext

T = TypeVar("T")

CLEANUP_SECONDS = 2.0
CLEANUP_PAUSE = 1.0


class Cooldown:
    """Keeps the sweeps of this worker apart: many messages of beat may have piled up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def is_over(self) -> bool:
        """Whether it is time for another one."""
        return monotonic() >= self._next

    def begin(self) -> None:
        """One has ended."""
        self._next = monotonic() + self._seconds


log = structlog.get_logger()
runner = TaskRunner()
pauses = Cooldown(SWEEP_SECONDS / 2)
pulse_publisher = PulsePublisher(celery_app)


@worker_init.connect
def _open(**_: Any) -> None:
    try:
        runner.open()
    except (SchemaOutdatedError, ApiError) as error:
        sys.exit(str(error))


@worker_ready.connect
def _start_pulse(**_: Any) -> None:
    pulse_publisher.start()


@worker_shutting_down.connect
def _stop_pulse(**_: Any) -> None:
    pulse_publisher.stop()


@worker_shutdown.connect
def _close(**_: Any) -> None:
    runner.close()


def _run(call: Callable[[WorkerContext], Coroutine[Any, Any, T]]) -> T | None:
    """Run a use case; while a server is away there is nothing to do but to say so.

    What was not done is found by the sweep when it is back.
    """
    try:
        return runner.run(call)
    except (ApiError, RedisError, OSError) as error:
        log.warning("task given up", error=repr(error)[:200])
        return None


@celery_app.task(name=PARSE_URL, bind=True)
def parse_url(self: Task, request_id: int, url: str) -> None:  # noqa: ARG001 - see below
    """Hand a request to the parsers; the page is never waited for.

    Args:
        self: the task, for its headers.
        request_id: the row; its URL is what counts.
        url: the same URL, for whoever reads the queue.
    """
    with structlog.contextvars.bound_contextvars(trace_id=self.request.get("trace_id")):
        _run(lambda context: context.jobs.start([request_id]))


@celery_app.task(name=PARSE_URLS)
def parse_urls(request_ids: list[int]) -> None:
    """Hand several requests to the parsers, which came at the same time."""
    _run(lambda context: context.jobs.start(request_ids))


@celery_app.task(name=SWEEP)
def sweep() -> None:
    """Repair what crashes and losses have left behind; see `sweep.py`."""
    if pauses.is_over():
        _run(lambda context: context.sweep.run())
        pauses.begin()


@celery_app.task(name=CLEANUP, bind=True, max_retries=None)
def cleanup_parse_requests(self: Task) -> int:
    """Delete requests older than `RETENTION_DAYS`; returns how many.

    A slice of time, and another a moment later, until none is left: this worker does one thing
    at a time, and requests and sweeps are to have their turns in between.
    """
    cleaned = _run(lambda context: context.jobs.clean_up(seconds=CLEANUP_SECONDS))
    if cleaned is None:
        return 0
    if not cleaned.is_done:
        raise self.retry(countdown=CLEANUP_PAUSE)
    return cleaned.deleted


@celery_app.task(name=PULSE)
def pulse() -> None:
    """Show that this worker consumes; there is always one of these to be consumed."""
    _run(lambda context: context.census.record_heartbeat())


@task_postrun.connect
def _show_alive(**_: Any) -> None:
    """Show, in a file for who started this worker, that it has consumed something."""
    if path := os.environ.get("ALIVE_FILE"):
        Path(path).touch()
