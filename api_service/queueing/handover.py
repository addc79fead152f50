"""Hand requests over to the parsers: claim their rows, then push their jobs."""

from collections.abc import Mapping, Sequence

import structlog

from api_service.database import Database
from api_service.metrics import worker as metrics
from api_service.parser_client.jobs import JobPusher
from api_service.parser_client.messages import PAGE_KIND, Job
from api_service.queueing.repository import QueueRepository
from api_service.repository import JobToPush

log = structlog.get_logger()


class Handover:
    """Moves requests from their rows to the parsers' list."""

    def __init__(self, *, database: Database, jobs: JobPusher) -> None:
        self._database = database
        self._jobs = jobs

    async def hand_over_pending(
        self, request_ids: Sequence[int], *, traces: Mapping[int, str | None] | None = None
    ) -> None:
        """Hand pending requests to the parsers; leave those with another status alone.

        Args:
            request_ids: the rows.
            traces: the trace ids that came with the message, for lines on what is not started.
        """
        async with self._database.transaction() as session:
            started = await QueueRepository(session).mark_processing(request_ids)
        await self.push_claimed(started)
        ids = {request.request_id for request in started}
        for request_id in request_ids:
            if request_id not in ids:
                trace_id = (traces or {}).get(request_id)
                log.info("not started: not pending", request_id=request_id, trace_id=trace_id)

    async def push_claimed(self, requests: Sequence[JobToPush]) -> None:
        """Push the jobs of requests that were just claimed.

        If that fails, the sweep finds the claimed rows missing from Redis and pushes them again.
        """
        if not requests:
            return
        await self._jobs.push(
            [_make_job(request, reply=self._jobs.reply_list) for request in requests]
        )
        metrics.JOBS_PUSHED.inc(len(requests))
        for request in requests:
            log.info("job pushed", request_id=request.request_id, trace_id=request.trace_id)


def _make_job(request: JobToPush, *, reply: str) -> Job:
    # In this order: what somebody else wrote among the options is no other member of a job.
    members = request.options | {
        "id": request.request_id,
        "url": request.url,
        "token": request.token,
        "reply": reply,
        "trace": request.trace_id,
        "alone": request.alone or None,
        "html_apart": True,
        "kind": None if request.kind == PAGE_KIND else request.kind,
    }
    return Job(**members)
