"""Take jobs from the lists, run them, and store their results: a loop around `PagePipeline`.

1. Wait until there is room for a job and until producers have persisted enough results: never
   hold more jobs than can run, never fill Redis with results. While there is no room, a slow
   host gives up the places beyond its share (`shares.py`).
2. Take as many jobs as there is room for. If there are none, BLPOP for a second at most, so that
   a request to stop is seen soon. Never cancel a BLPOP: the job that it has just popped would
   be lost.
3. Run them (`job_run.py`), many at a time; jobs that must run alone wait for that (`lone.py`).

On SIGTERM the listener takes no more jobs, gives those in flight a while to finish, and puts the
rest back to the head of their list.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from time import monotonic

import structlog
from redis.exceptions import RedisError

from parser_service import metrics
from parser_service.config import Settings
from parser_service.jobs.backoff import Backoff
from parser_service.jobs.heartbeat import Heartbeat
from parser_service.jobs.job_run import JobRunner
from parser_service.jobs.lone import LoneJobs
from parser_service.jobs.parked import ReadyJob
from parser_service.jobs.runnable import RunnableJob, decode_job
from parser_service.jobs.shares import HostShares
from parser_service.pipeline import PagePipeline
from parser_service.redis_queue.host_limits import HostLimits
from parser_service.redis_queue.job_queue import JobQueue, TakenMessage

WAIT_FOR_JOBS_SECONDS = 1
"""Seconds for one BLPOP; `dependencies.REDIS_COMMAND_TIMEOUT_SECONDS` must be more."""
BACKPRESSURE_CHECK_SECONDS = 0.2
SLOW_HOST_CHECK_SECONDS = 0.25
"""Seconds after which a full parser looks again for hosts that have become slow."""

log = structlog.get_logger()


class Listener:
    """Take jobs from the lists and store their results."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        limits: HostLimits | None,
        pipeline: PagePipeline,
        settings: Settings,
        block_seconds: float = WAIT_FOR_JOBS_SECONDS,
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._shares = HostShares(settings.fetch_concurrency, share=settings.host_job_share)
        self._job_runner = JobRunner(
            queue=queue, limits=limits, pipeline=pipeline, shares=self._shares
        )
        self._settings = settings
        self._block_seconds = block_seconds
        self._stopping = False
        self._changed = asyncio.Event()
        self._in_flight: dict[asyncio.Task[None], RunnableJob] = {}
        self._lone = LoneJobs()
        self._heartbeat = Heartbeat(
            queue=queue, limits=limits, held=self._held_jobs, alive_file=settings.alive_file
        )

    def stop(self) -> None:
        """Take no more jobs; `run` returns when those in flight are done or handed back."""
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Serve the lists until stopped."""
        beating = asyncio.create_task(self._heartbeat.run())
        backoff = Backoff()
        while not self._stopping:
            try:
                await self._take_jobs_or_wait()
                backoff.reset()
            except (RedisError, OSError) as error:
                pause = backoff.next_pause()
                log.warning("no jobs taken", error=str(error), retry_in=pause)
                await self._wait_for_change(pause)
            except Exception:
                # Our own fault, but no reason to lose the jobs in flight.
                log.exception("no jobs taken")
                await self._wait_for_change(backoff.next_pause())
        await self._drain()
        beating.cancel()

    async def _take_jobs_or_wait(self) -> None:
        """Start the jobs for which there is room, or wait until there may be something to do."""
        await self._hand_back_deferred()
        room = self._settings.fetch_concurrency - len(self._in_flight)
        if room <= 0:
            await self._make_room()
        if room <= 0 or not self._lone.may_take_jobs(are_others_running=bool(self._in_flight)):
            await self._wait_for_change(SLOW_HOST_CHECK_SECONDS if room <= 0 else None)
            return
        if await self._queue.unpersisted_result_bytes() > self._settings.max_result_bytes:
            began = monotonic()
            await self._wait_for_change(BACKPRESSURE_CHECK_SECONDS)
            metrics.BACKPRESSURE_SECONDS.inc(monotonic() - began)
            return
        only_from = self._lone.pop_list_with_lone_job()
        taken = await self._queue.take(1 if only_from else room, only_from=only_from)
        if taken:
            metrics.JOBS_TAKEN.inc(len(taken))
            self._start_or_defer(await self._decode_or_drop(taken))
        elif not only_from and (
            popped := await self._queue.wait_and_take_unleased(self._block_seconds)
        ):
            metrics.JOBS_TAKEN.inc()
            runnables = await self._decode_or_drop([popped])
            tokens = [runnable.job.token for runnable in runnables if runnable.job.token]
            try:
                await self._queue.lease_jobs(tokens)
            except (RedisError, OSError):
                self._heartbeat.lease_at_next_beat(tokens)
            self._start_or_defer(runnables)

    async def _make_room(self) -> None:
        """Take the places beyond their share from slow hosts, if jobs wait."""
        excess = list(self._shares.occupants_beyond_share())
        if excess and await self._queue.has_jobs():
            for occupant in excess:
                occupant.give_up_place()

    async def _decode_or_drop(self, taken: Sequence[TakenMessage]) -> list[RunnableJob]:
        runnables = []
        for message in taken:
            try:
                runnables.append(decode_job(message))
            except Exception as error:  # noqa: BLE001 - a stranger's bytes: whatever it is, go on
                metrics.JOBS_INVALID.inc()
                log.error(
                    "message dropped: not a job",
                    size=len(message.raw),
                    error=type(error).__name__,
                )
                await self._free_slot(message)
        return runnables

    async def _free_slot(self, message: TakenMessage) -> None:
        """Free the slot that a dropped message had got, if it names one."""
        if self._limits is None or not message.is_ready:
            return
        with contextlib.suppress(ValueError, RedisError, OSError):  # then its lease ends
            await self._limits.release(ReadyJob.decode(message.raw).slot)

    def _start_or_defer(self, runnables: Sequence[RunnableJob]) -> None:
        """Start the jobs that may run now; the others go back to the head of their list."""
        for runnable in runnables:
            if not runnable.job.alone:
                self._start(runnable)
        for runnable in runnables:
            if runnable.job.alone and self._lone.admit_or_defer(
                runnable, are_others_running=bool(self._in_flight)
            ):
                self._start(runnable)

    async def _hand_back_deferred(self) -> None:
        deferred = self._lone.to_hand_back
        while deferred:
            await self._hand_back(deferred[-1])
            deferred.pop()

    async def _hand_back(self, runnable: RunnableJob) -> None:
        await self._queue.hand_back(runnable.taken, token=runnable.job.token)
        metrics.JOBS_HANDED_BACK.inc()

    def _start(self, runnable: RunnableJob) -> None:
        task = asyncio.create_task(self._job_runner.run(runnable))
        self._in_flight[task] = runnable
        task.add_done_callback(self._on_job_ended)

    def _on_job_ended(self, task: asyncio.Task[None]) -> None:
        if runnable := self._in_flight.pop(task, None):
            self._lone.note_job_end(runnable)
        self._changed.set()

    async def _wait_for_change(self, seconds: float | None = None) -> None:
        """Wait until a job ends or a stop is asked for, or until the time is over."""
        if self._stopping:
            return
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _held_jobs(self) -> list[RunnableJob]:
        return [*self._in_flight.values(), *self._lone.to_hand_back]

    async def _drain(self) -> None:
        if self._in_flight:
            log.info("finishing", in_flight=len(self._in_flight))
            await asyncio.wait(self._in_flight, timeout=self._settings.shutdown_grace)
        unfinished = [*reversed(self._lone.to_hand_back), *self._in_flight.values()]
        late = list(self._in_flight)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for runnable in unfinished:
            try:
                await self._hand_back(runnable)
            except (RedisError, OSError) as error:
                log.error("not handed back", job_id=runnable.job.id, error=str(error))
        if unfinished:
            log.info("handed back", jobs=len(unfinished))
