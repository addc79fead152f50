"""The parser's other entrance: jobs from a Redis list.

Run as `python -m parser_service.redis_listener`. A shell round a loop round `PagePipeline`:

1. Wait until there is room for a job, and until the results of others have been taken over:
   never hold more jobs than can be run, never fill Redis with results.
2. Take as many as there is room for; if there are none, BLPOP for a second at most, so that a
   request to stop is seen soon. A BLPOP is never cancelled: the job that it had just popped
   would be lost.
3. Fetch and parse, many jobs at a time. A job whose last parser died runs alone, so that
   what kills parsers takes nothing along. Until it can run it is in nobody's hands: where
   others are under way it goes back to the head of the list, and nothing else is begun.
4. Store the result under the job's key and, for a job with a token, announce it.

On SIGTERM no more jobs are taken, those under way get a while to finish, and the rest are
pushed back to the head of their list.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import structlog
import uvloop
from redis.exceptions import RedisError

from parser_service import log as logging_setup
from parser_service import metrics
from parser_service.config import Settings
from parser_service.dependencies import host_limits, open_redis, task_queue
from parser_service.exceptions import FetchError
from parser_service.fetching.fetcher import Hop
from parser_service.jobs.access import JobAccess, ParkedError
from parser_service.page import PageOptions
from parser_service.pipeline import PagePipeline, open_pipeline
from parser_service.redis_queue.host_limits import HostLimits, Slot, read_ready, ready_list
from parser_service.redis_queue.job_queue import JobQueue, TakenJob
from parser_service.redis_queue.messages import (
    ErrorFacts,
    FailureResult,
    SuccessResult,
    encode_with_html_appended,
)
from parser_service.requests import Job, ParkedJob

BLOCK_SECONDS = 1
RENEW_SECONDS = 1.0
THROTTLE_SECONDS = 0.2
MAX_BACKOFF_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunnableJob:
    """A job, where it begins or goes on, and the slot it has got already."""

    taken: TakenJob
    raw: bytes
    job: Job
    url: str
    hops: Sequence[Hop] = ()
    slot: Slot | None = None


class Listener:
    """Takes jobs from the list and stores their results."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        limits: HostLimits | None,
        pipeline: PagePipeline,
        settings: Settings,
        block_seconds: float = BLOCK_SECONDS,
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._pipeline = pipeline
        self._settings = settings
        self._block_seconds = block_seconds
        self._stopping = False
        self._changed = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], RunnableJob] = {}
        self._to_hand_back: deque[RunnableJob] = deque()
        self._is_alone = False
        self._list_with_lone_job: str | None = None
        """The list that has a job at its head which is to run alone: nothing is begun until the
        others have ended, and then that list is the next to be looked in."""
        self._unleased: set[str] = set()

    def stop(self) -> None:
        """Take no more jobs; `run` returns when those under way are done or handed back."""
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Serve the list until stopped."""
        renewing = asyncio.create_task(self._keep_renewing())
        backoff = 0.1
        while not self._stopping:
            try:
                await self._take_some()
                backoff = 0.1
            except (RedisError, OSError) as error:
                log.warning("redis unavailable", error=str(error), retry_in=backoff)
                await self._wait_for_change(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)
        await self._finish()
        renewing.cancel()

    async def _take_some(self) -> None:
        """Start what there is room for, or wait for a while until there is something to do."""
        await self._hand_back()
        room = self._settings.fetch_concurrency - len(self._under_way)
        if self._is_alone or room <= 0 or (self._list_with_lone_job and self._under_way):
            await self._wait_for_change()
            return
        if await self._queue.unpersisted_result_bytes() > self._settings.max_result_bytes:
            began = monotonic()
            await self._wait_for_change(THROTTLE_SECONDS)
            metrics.THROTTLED.inc(monotonic() - began)
            return
        only_from, self._list_with_lone_job = self._list_with_lone_job, None
        taken = await self._queue.take(1 if only_from else room, only_from=only_from)
        if taken:
            metrics.JOBS_TAKEN.inc(len(taken))
            self._begin(self._decode(taken))
        elif not only_from and (popped := await self._queue.wait(self._block_seconds)):
            metrics.JOBS_TAKEN.inc()
            works = self._decode([popped])
            tokens = [work.job.token for work in works if work.job.token]
            try:
                await self._queue.lease(tokens)
            except (RedisError, OSError):
                self._unleased.update(tokens)  # they will be in a moment, if they are still here
            self._begin(works)

    def _decode(self, taken: Sequence[TakenJob]) -> list[RunnableJob]:
        works = []
        for message in taken:
            try:
                works.append(self._read(message))
            except ValueError as error:
                metrics.JOBS_REFUSED.inc()
                log.error("message set aside: not a job", error=type(error).__name__)
        return works

    def _begin(self, works: Sequence[RunnableJob]) -> None:
        """Start what may run now; the rest is for the head of the list."""
        for work in works:
            if not work.job.alone:
                self._start(work)
        for work in works:
            if work.job.alone:
                if self._under_way:
                    self._to_hand_back.append(work)
                    self._list_with_lone_job = work.taken.list
                else:
                    self._is_alone = True
                    self._start(work)

    async def _hand_back(self) -> None:
        """Put what may not run yet back to the head of its list, the last first."""
        while self._to_hand_back:
            work = self._to_hand_back[-1]
            await self._queue.hand_back(work.taken, token=work.job.token)
            metrics.JOBS_HANDED_BACK.inc()
            self._to_hand_back.pop()

    def _start(self, work: RunnableJob) -> None:
        task = asyncio.create_task(self._run_job(work))
        self._under_way[task] = work
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        work = self._under_way.pop(task, None)
        if work and self._is_alone:
            self._is_alone = False
            self._list_with_lone_job = work.taken.list  # they often come together
        self._changed.set()

    async def _wait_for_change(self, seconds: float | None = None) -> None:
        """Wait until a job ends or a stop is asked for, or until the time is over."""
        if self._stopping:
            return
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _read(self, taken: TakenJob) -> RunnableJob:
        """What a message asks for: a job, or one that waited for its host and goes on.

        Raises:
            ValueError: it is neither.
        """
        if taken.list != ready_list(self._settings.task_queue):
            job = Job.model_validate_json(taken.raw)
            return RunnableJob(taken, taken.raw, job, job.url)
        ready = read_ready(taken.raw)
        waiting = ParkedJob.model_validate_json(ready.parked)
        raw = waiting.job.encode()
        hops = [Hop(url, status) for url, status in waiting.redirects]
        return RunnableJob(taken, raw, Job.model_validate_json(raw), waiting.url, hops, ready.slot)

    async def _run_job(self, work: RunnableJob) -> None:
        job = work.job
        access = JobAccess(self._limits, work.raw, token=job.token, slot=work.slot)
        # What a page occupies is given back only when its result is stored.
        async with access:
            structlog.contextvars.bind_contextvars(job_id=job.id, trace_id=job.trace)
            try:
                result = await self._result_of(work, access)
            except ParkedError:
                log.info("job waits for its host")
                return
            await self._store(job, result)

    async def _result_of(self, work: RunnableJob, access: JobAccess) -> bytes:
        token = work.job.token
        try:
            page = await self._pipeline.run(
                work.url, access=access, options=PageOptions.of(work.job), hops=work.hops
            )
        except FetchError as error:
            reason = ErrorFacts(
                code=error.code,
                message=error.message,
                retryable=error.retryable,
                page_status=error.page_status,
                retry_after=error.retry_after,
            )
            failure = FailureResult(error=error.message, reason=reason, token=token)
            return failure.model_dump_json(exclude_none=True).encode()
        result = SuccessResult(token=token, **dict(page))
        return (
            encode_with_html_appended(result)
            if work.job.html_apart
            else result.model_dump_json().encode()
        )

    async def _store(self, job: Job, result: bytes) -> None:
        """Store a result, trying until Redis takes it: the job's place stays occupied."""
        backoff = 0.1
        while True:
            try:
                await self._queue.finish(job.id, result, token=job.token, reply=job.reply)
            except (RedisError, OSError) as error:
                log.warning("result not stored yet", error=str(error), retry_in=backoff)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)
            else:
                return

    async def _keep_renewing(self) -> None:
        """Show that this parser lives: in Redis for the API, in a file for who started it."""
        alive = Path(path) if (path := os.environ.get("ALIVE_FILE")) else None
        while True:
            held = [*self._under_way.values(), *self._to_hand_back]
            tokens = [work.job.token for work in held if work.job.token]
            try:
                await self._queue.lease([token for token in tokens if token in self._unleased])
                self._unleased.clear()
                await self._queue.renew(tokens)
                if self._limits is not None:
                    await self._limits.tick()
                if alive:
                    alive.touch()
            except (RedisError, OSError) as error:
                log.warning("leases not renewed", held=len(held), error=str(error))
                if alive:
                    with contextlib.suppress(OSError):
                        alive.touch()
            except Exception:
                log.exception("leases not renewed", held=len(held))
            await asyncio.sleep(RENEW_SECONDS)

    async def _finish(self) -> None:
        if self._under_way:
            log.info("finishing", under_way=len(self._under_way))
            await asyncio.wait(self._under_way, timeout=self._settings.shutdown_grace)
        unfinished = [*reversed(self._to_hand_back), *self._under_way.values()]
        late = list(self._under_way)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for work in unfinished:
            try:
                await self._queue.hand_back(work.taken, token=work.job.token)
                metrics.JOBS_HANDED_BACK.inc()
            except (RedisError, OSError) as error:
                log.error("not handed back", job_id=work.job.id, error=str(error))
        if unfinished:
            log.info("handed back", jobs=len(unfinished))


async def serve(settings: Settings) -> None:
    """Run a listener until SIGTERM or SIGINT."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    async with open_redis(settings) as redis, open_pipeline(settings) as pipeline:
        listener = Listener(
            queue=task_queue(redis, settings, name=name),
            limits=host_limits(redis, settings),
            pipeline=pipeline,
            settings=settings,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, listener.stop)
        log.info("listening", queue=settings.task_queue, concurrency=settings.fetch_concurrency)
        await listener.run()


def main() -> None:
    """The process's entry."""
    settings = Settings.load()
    logging_setup.configure("listener", settings.log_level)
    uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
