"""The parser's other entrance: jobs from a Redis list.

Run as `python -m parser_service.redis_listener`.

A shell round a loop round `PageHandler`:

1. Wait until there is room for a job; never hold more than can be run.
2. BLPOP, for a second at most, so that a request to stop is seen soon. A BLPOP is never
   cancelled: the job that it had just popped would be lost.
3. Fetch and parse, many jobs at a time.
4. Store the result under the job's key and, for a job with a token, announce it on the
   job's reply list, both in one transaction.

On SIGTERM no more jobs are taken, those under way get a while to finish, and the rest are
pushed back to the head of the list.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio as aioredis
import structlog
import uvloop
from pydantic import ValidationError
from redis.exceptions import RedisError

from parser_service import log as logging_setup
from parser_service.config import Settings
from parser_service.exceptions import FetchError
from parser_service.fetcher import Hop
from parser_service.handler import PageHandler, open_handler
from parser_service.redis_connection import host_limits, open_redis
from parser_service.requests import Job, WaitingJob
from parser_service.responses import Announcement, ErrorFacts, FailureResult, SuccessResult
from parser_service.visits import JobVisit, ParkedError

BLOCK_SECONDS = 1
HEARTBEAT_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 5.0

log = structlog.get_logger()


class Listener:
    """Takes jobs from the list and stores their results."""

    def __init__(
        self,
        *,
        redis: aioredis.Redis,
        handler: PageHandler,
        settings: Settings,
        name: str,
        block_seconds: float = BLOCK_SECONDS,
    ) -> None:
        self._redis = redis
        self._handler = handler
        self._settings = settings
        self._name = name
        self._block_seconds = block_seconds
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], _Taken] = {}
        self._limits = host_limits(redis, settings)
        # A job whose host has a place for it comes before those that have not asked yet.
        ready = [self._limits.ready_list] if self._limits else []
        self._lists = [*ready, settings.task_queue]

    def stop(self) -> None:
        """Take no more jobs; `run` returns when those under way are done or handed back."""
        self._stopping.set()
        self._changed.set()

    async def run(self) -> None:
        """Serve the list until stopped."""
        heartbeat = asyncio.create_task(self._beat())
        backoff = 0.1
        while not self._stopping.is_set():
            try:
                await self._take_one()
                backoff = 0.1
            except (RedisError, OSError) as error:
                log.warning("redis unavailable", error=str(error), retry_in=backoff)
                await self._pause(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)
        heartbeat.cancel()
        await self._finish()

    async def _take_one(self) -> None:
        await self._wait_for_room()
        if self._stopping.is_set():
            return
        popped = await self._redis.blpop(self._lists, timeout=self._block_seconds)
        if popped is not None:
            name, raw = popped
            assert isinstance(raw, bytes)  # noqa: S101 - the client decodes nothing
            taken = _Taken(name.decode() if isinstance(name, bytes) else name, raw)
            task = asyncio.create_task(self._work(taken))
            self._under_way[task] = taken
            task.add_done_callback(self._done)

    async def _wait_for_room(self) -> None:
        """Wait until one more job can be run, or none is wanted any more."""
        while len(self._under_way) >= self._settings.fetch_concurrency:
            if self._stopping.is_set():
                return
            self._changed.clear()
            await self._changed.wait()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._changed.set()

    async def _work(self, taken: "_Taken") -> None:
        try:
            work = self._read(taken)
        except ValidationError as error:
            log.error("message set aside: not a job", errors=error.error_count())
            return
        job = work.job
        with structlog.contextvars.bound_contextvars(job_id=job.id, trace_id=job.trace):
            async with work.visit as visit:
                try:
                    result = await self._result_of(work, visit)
                except ParkedError:
                    log.info("job waits for its host")
                    return
            await self._store(job, result)

    def _read(self, taken: "_Taken") -> "_Work":
        """What a message asks for: a job, or one that waited and goes on."""
        raw, slot, waiting = taken.raw, None, None
        if self._limits is not None and taken.list == self._limits.ready_list:
            ready = self._limits.read_ready(taken.raw)
            waiting = WaitingJob.model_validate_json(ready.parked)
            raw, slot = waiting.job.encode(), ready.slot
        job = Job.model_validate_json(raw)
        return _Work(
            job=job,
            url=waiting.url if waiting else job.url,
            hops=[Hop(url, status) for url, status in waiting.redirects] if waiting else [],
            visit=JobVisit(
                self._limits,
                raw,
                respect_robots=job.respect_robots or self._settings.respect_robots,
                slot=slot,
            ),
        )

    async def _result_of(self, work: "_Work", visit: JobVisit) -> str:
        token = work.job.token
        try:
            page = await self._handler.handle(
                work.url, visit=visit, title_fallback=work.job.title_fallback, hops=work.hops
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
            return failure.model_dump_json(exclude_none=True)
        return SuccessResult(token=token, **dict(page)).model_dump_json()

    async def _store(self, job: Job, result: str) -> None:
        """Store a result, trying until Redis takes it: the job's place stays occupied."""
        backoff = 0.1
        while True:
            try:
                async with self._redis.pipeline(transaction=True) as pipe:
                    key = f"{self._settings.result_prefix}{job.id}"
                    pipe.set(key, result, ex=self._settings.result_ttl)
                    if job.token is not None and job.reply is not None:
                        announcement = Announcement(id=job.id, token=job.token)
                        pipe.rpush(job.reply, announcement.model_dump_json())
                    await pipe.execute()
            except (RedisError, OSError) as error:
                log.warning("result not stored yet", error=str(error), retry_in=backoff)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)
            else:
                return

    async def _beat(self) -> None:
        """Show that this parser lives: in Redis for the API, in a file for who started it."""
        alive = Path(path) if (path := os.environ.get("ALIVE_FILE")) else None
        key = f"{self._settings.task_queue}:parsers"
        while True:
            with contextlib.suppress(RedisError, OSError):
                await self._redis.eval(_SEEN, 1, key, self._name)
                if self._limits is not None:
                    await self._limits.tick()
            if alive:
                alive.touch()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _finish(self) -> None:
        if not self._under_way:
            return
        log.info("finishing", under_way=len(self._under_way))
        _, late = await asyncio.wait(self._under_way, timeout=self._settings.shutdown_grace)
        if not late:
            return
        unfinished = [self._under_way[task] for task in late]
        for task in late:
            task.cancel()
        await asyncio.wait(late)
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                for taken in unfinished:
                    pipe.lpush(taken.list, taken.raw)
                await pipe.execute()
            log.info("handed back", jobs=len(unfinished))
        except (RedisError, OSError) as error:
            log.error("not handed back", jobs=len(unfinished), error=str(error))


@dataclass(frozen=True, slots=True)
class _Taken:
    """A message and the list that it was taken from."""

    list: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Work:
    """A job, where it begins or goes on, and how it visits hosts."""

    job: Job
    url: str
    hops: Sequence[Hop]
    visit: JobVisit


# Scores are Redis's own time, so that no clock but one matters.
_SEEN = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60)
"""


async def serve(settings: Settings) -> None:
    """Run a listener until SIGTERM or SIGINT."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    async with open_redis(settings) as redis, open_handler(settings) as handler:
        listener = Listener(redis=redis, handler=handler, settings=settings, name=name)
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
