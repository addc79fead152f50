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
from pathlib import Path

import redis.asyncio as aioredis
import structlog
import uvloop
from pydantic import ValidationError
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from parser_service import log as logging_setup
from parser_service.config import Settings
from parser_service.exceptions import FetchError
from parser_service.handler import PageHandler, open_handler
from parser_service.requests import Job
from parser_service.responses import Announcement, ErrorFacts, FailureResult, SuccessResult

BLOCK_SECONDS = 1
HEARTBEAT_SECONDS = 1
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
        self._under_way: dict[asyncio.Task[None], bytes] = {}

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
        queues = [self._settings.task_queue]
        popped = await self._redis.blpop(queues, timeout=self._block_seconds)
        if popped is not None:
            raw = popped[1]
            assert isinstance(raw, bytes)  # noqa: S101 - the client decodes nothing
            task = asyncio.create_task(self._work(raw))
            self._under_way[task] = raw
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

    async def _work(self, raw: bytes) -> None:
        try:
            job = Job.model_validate_json(raw)
        except ValidationError as error:
            log.error("message set aside: not a job", errors=error.error_count(), size=len(raw))
            return
        with structlog.contextvars.bound_contextvars(job_id=job.id, trace_id=job.trace):
            await self._store(job, await self._result_of(job))

    async def _result_of(self, job: Job) -> str:
        try:
            page = await self._handler.handle(job.url)
        except FetchError as error:
            return FailureResult(
                error=error.message,
                reason=ErrorFacts(
                    code=error.code,
                    message=error.message,
                    retryable=error.retryable,
                    page_status=error.page_status,
                ),
                token=job.token,
            ).model_dump_json(exclude_none=True)
        return SuccessResult(token=job.token, **dict(page)).model_dump_json(exclude_none=True)

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
            await self._redis.lpush(self._settings.task_queue, *unfinished)
            log.info("handed back", jobs=len(unfinished))
        except (RedisError, OSError) as error:
            log.error("not handed back", jobs=len(unfinished), error=str(error))


# Scores are Redis's own time, so that no clock but one matters.
_SEEN = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60)
"""


async def serve(settings: Settings) -> None:
    """Run a listener until SIGTERM or SIGINT."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    redis = aioredis.Redis.from_url(
        settings.redis_url,
        socket_timeout=BLOCK_SECONDS + 4,
        socket_connect_timeout=3,
        # One try and an error: the loops above are the ones that try again.
        retry=aioredis.retry.Retry(NoBackoff(), 0),
    )
    async with redis, open_handler(settings) as handler:
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
