"""Celery's tasks: shells round coroutines of the core, which tests call without them."""

from collections.abc import Sequence

import structlog
from celery import Task

from api_service.celery_app import (
    CLEANUP_TASK,
    HAND_OVER_BATCH_TASK,
    HAND_OVER_TASK,
    PULSE_TASK,
    SWEEP_TASK,
    celery_app,
)
from api_service.parser_client.queues import ParserQueues
from api_service.process.collaborators import CollaboratorRegistry
from api_service.process.current import current_worker
from api_service.queueing.handover import Handover
from api_service.queueing.sweep import Sweep, SweepCooldown
from api_service.retention import Retention

CLEANUP_SLICE_SECONDS = 0.1
CLEANUP_PAUSE_SECONDS = 1.0
"""Seconds of clean-up and of pause, in turns: requests wait while this worker deletes."""


@celery_app.task(name=HAND_OVER_TASK, bind=True)
def hand_over_request(self: Task, request_id: int, url: str) -> None:  # noqa: ARG001 - see below
    """Hand a request to the parsers, without waiting for the page.

    Args:
        self: the task, for its headers.
        request_id: the row; its URL is what counts.
        url: the same URL. The task's signature is fixed: others may send or read its messages.
    """
    trace_id = self.request.get("trace_id")
    with structlog.contextvars.bound_contextvars(trace_id=trace_id):
        _hand_over([request_id], [trace_id])


@celery_app.task(name=HAND_OVER_BATCH_TASK, bind=True)
def hand_over_requests(self: Task, request_ids: list[int]) -> None:
    """Hand several requests to the parsers that were accepted at the same time.

    Args:
        self: the task; its header `trace_ids` is in the order of the ids. An API of an older
            version sends none.
        request_ids: the rows.
    """
    trace_ids = self.request.get("trace_ids") or [None] * len(request_ids)
    with structlog.contextvars.bound_contextvars(trace_ids=trace_ids):
        _hand_over(request_ids, trace_ids)


def _hand_over(request_ids: Sequence[int], trace_ids: Sequence[str | None]) -> None:
    traces = dict(zip(request_ids, trace_ids, strict=False))
    current_worker().run_or_log_outage(
        lambda here: here.get(Handover).hand_over_pending(request_ids, traces=traces)
    )


@celery_app.task(name=SWEEP_TASK)
def sweep() -> None:
    """Repair what crashes and losses left; see `queueing/sweep.py`."""
    current_worker().run_or_log_outage(_sweep_unless_recent)


async def _sweep_unless_recent(here: CollaboratorRegistry) -> None:
    cooldown = here.get(SweepCooldown)
    if cooldown.is_over():
        try:
            await here.get(Sweep).run()
        finally:
            cooldown.restart()


@celery_app.task(name=CLEANUP_TASK, bind=True, max_retries=None)
def cleanup_parse_requests(self: Task) -> int:
    """Delete requests that ended `RETENTION_DAYS` ago, and expire others.

    Deletes in short slices with pauses, so that few requests and sweeps wait for it: this worker
    does one thing at a time.

    Returns:
        How many the last slice deleted.
    """
    progress = current_worker().run_or_log_outage(
        lambda here: here.get(Retention).expire_and_delete_old(seconds=CLEANUP_SLICE_SECONDS)
    )
    if progress is None:
        return 0
    if not progress.is_done:
        raise self.retry(countdown=CLEANUP_PAUSE_SECONDS)
    return progress.deleted


@celery_app.task(name=PULSE_TASK)
def record_pulse() -> None:
    """Record in Redis that this worker consumes; see `worker/pulse.py`."""
    current_worker().run_or_log_outage(
        lambda here: here.get(ParserQueues).census.record_heartbeat()
    )
