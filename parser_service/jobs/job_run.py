"""Run one job from its start to its stored result. Whatever it raises is the failure of that job.

1. Run it (`runners.py`): a page, or the failure that says why there is none.
2. Store the result, trying until Redis takes it. What Redis will never take becomes a failure.
3. If that cannot be stored either, give the job up: its lease ends, and its producer sees that.
"""

import asyncio
import re
from functools import partial

import structlog
from redis.exceptions import DataError, RedisError, ResponseError

from parser_service.exceptions import InternalError
from parser_service.jobs import runners
from parser_service.jobs.access import JobAccess, ParkedError
from parser_service.jobs.backoff import Backoff
from parser_service.jobs.outcome import encode_failure
from parser_service.jobs.runnable import RunnableJob
from parser_service.jobs.shares import HostShares
from parser_service.pipeline import PagePipeline
from parser_service.redis_queue.host_limits import HostLimits
from parser_service.redis_queue.job_queue import JobQueue
from parser_service.redis_queue.messages import Job

# Redis names a state of the server in capitals, such as MISCONF: it may pass. It also names
# WRONGTYPE so, which does not.
_TRANSIENT_ERROR_START = re.compile(r"(?!WRONGTYPE)[A-Z]+ ")

log = structlog.get_logger()


class JobRunner:
    """Run jobs on a parser's collaborators; see `Listener`."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        limits: HostLimits | None,
        pipeline: PagePipeline,
        shares: HostShares,
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._shares = shares
        self._pipeline = pipeline

    async def run(self, runnable: RunnableJob) -> None:
        """Run a job until its result is stored, or until it waits for its host."""
        job = runnable.job
        structlog.contextvars.bind_contextvars(job_id=job.id, trace_id=job.trace)
        try:
            access = JobAccess(
                self._limits,
                runnable.raw,
                token=job.token,
                slot=runnable.slot,
                shares=self._shares,
            )
            # What a page occupies is released only when its result is stored.
            async with access:
                try:
                    result = await access.run(
                        partial(runners.run_to_result, runnable, self._pipeline, access)
                    )
                except ParkedError:
                    log.info("job waits for its host")
                    return
                await self._store_result_or_failure(job, result)
        except Exception:
            # Nobody awaits this task: an error that left it would be seen by no one.
            log.exception("job given up")

    async def _store_result_or_failure(self, job: Job, result: bytes) -> None:
        try:
            await self._store(job, result)
        except Exception:
            log.exception("result not storable")
            await self._store(job, encode_failure(InternalError(), job))

    async def _store(self, job: Job, result: bytes) -> None:
        """Store a result, trying until Redis takes it: the job's place stays occupied.

        Raises:
            Exception: trying again will not help.
        """
        backoff = Backoff()
        while True:
            try:
                await self._queue.finish(job.id, result, token=job.token, reply=job.reply)
            except (RedisError, OSError) as error:
                if not _is_transient(error):
                    raise
                pause = backoff.next_pause()
                log.warning("result not stored yet", error=str(error), retry_in=pause)
                await asyncio.sleep(pause)
            else:
                return


def _is_transient(error: Exception) -> bool:
    """Return whether Redis may take later what it refuses now."""
    if isinstance(error, DataError):
        return False  # the client itself has no form for it
    # States with a class of their own, such as OutOfMemoryError, are subclasses.
    return type(error) is not ResponseError or bool(_TRANSIENT_ERROR_START.match(str(error)))
