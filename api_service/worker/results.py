"""Persist finished results in batches. Run as `python -m api_service.worker.results`.

A process of its own beside Celery, in the service `worker`: an endless Celery task would
never let SIGTERM finish. A shell round a loop:

1. Take what has been announced, as much as there is up to a batch; wait where there is nothing.
   Batches are bounded in bytes, too.
2. Read the results and persist them in one transaction.
3. Delete announcements and results after the commit. Writing a result twice changes nothing,
   so a crash between the two does no harm.
4. Once a second, look for results that nobody announced: a foreign parser stores them under
   the result key and knows no more than that.

It also keeps an eye on Celery beside it: a worker has been seen to live on without consuming.
And it shows the metrics of both.
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from time import monotonic

import structlog
import uvloop
from redis.exceptions import OutOfMemoryError, RedisError

from api_service.config import Settings
from api_service.exceptions import ApiError, SchemaOutdatedError
from api_service.metrics import exposition
from api_service.metrics import worker as metrics
from api_service.parser_client.messages import Result
from api_service.process import log as logging_setup
from api_service.worker.context import WorkerContext, open_worker_context

BATCH = 200
BATCH_BYTES = 16 * 1024 * 1024
BLOCK_SECONDS = 1.0
POLL_SECONDS = 1.0
POLL_BATCH = 500
MAX_BACKOFF_SECONDS = 5.0
STALE_SECONDS = 60.0

log = structlog.get_logger()


class ResultLoop:
    """Moves results from Redis to PostgreSQL until it is stopped."""

    def __init__(self, context: WorkerContext) -> None:
        self._jobs = context.jobs
        self._results = context.results
        self._stopping = asyncio.Event()
        self._next_poll = 0.0
        self._polled_up_to = 0

    def stop(self) -> None:
        """Persist what has been announced so far, then end."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until stopped."""
        watch = CeleryWatchdog()
        backoff = 0.1
        while True:
            try:
                worked = await self._persist_announced()
                if self._stopping.is_set() and not worked:
                    return
                await self._poll()
                watch.record_round()
                backoff = 0.1
            except (RedisError, OSError, ApiError) as error:
                if self._stopping.is_set():
                    return
                watch.record_outage()
                log.warning("results not persisted yet", error=repr(error), retry_in=backoff)
                await self._pause(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _persist_announced(self) -> bool:
        """Persist one batch; whether there was anything."""
        taken = await self._results.take(limit=BATCH, max_bytes=BATCH_BYTES)
        if not taken:
            if not self._stopping.is_set():
                await self._wait()
            return False
        results = await self._results.read([announced.id for announced in taken])
        tokens = {announced.token: announced.id for announced in taken}
        # A key may hold the result of another attempt by now: that one is announced itself.
        valid = {i: r for i, r in results.items() if r.token and tokens.get(r.token) == i}
        await self._jobs.record(valid)
        await self._results.acknowledge(taken, list(valid))
        return True

    async def _wait(self) -> None:
        try:
            await self._results.wait_for_announcement(BLOCK_SECONDS)
        except OutOfMemoryError:
            # Where Redis has no memory left, moving is refused; taking, which frees some, is not.
            await self._pause(0.1)

    async def _poll(self) -> None:
        """Look for results without a token: among the oldest requests, and on through the rest."""
        if monotonic() < self._next_poll:
            return
        self._next_poll = monotonic() + POLL_SECONDS
        ids = await self._jobs.processing_ids(after=0, limit=POLL_BATCH)
        if len(ids) == POLL_BATCH:
            further = max(self._polled_up_to, ids[-1])
            more = await self._jobs.processing_ids(after=further, limit=POLL_BATCH)
            self._polled_up_to = more[-1] if len(more) == POLL_BATCH else 0
            ids += more
        batch: list[int] = []
        size = 0
        for request_id, length in (await self._results.foreign_sizes(ids)).items():
            batch.append(request_id)
            size += length
            if len(batch) == BATCH or size > BATCH_BYTES:
                await self._persist_unannounced(batch)
                batch, size = [], 0
        await self._persist_unannounced(batch)

    async def _persist_unannounced(self, request_ids: list[int]) -> None:
        results: dict[int, Result] = await self._results.read(request_ids)
        foreign = {i: r for i, r in results.items() if r.token is None}
        if foreign:
            await self._jobs.record(foreign)
            await self._results.forget(list(foreign))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


class CeleryWatchdog:
    """Ends this process, and so the pair, if Celery beside it has stopped consuming.

    Celery touches its file whenever it has run a pulse, and is sent one every two seconds. It
    is not to blame while Redis or PostgreSQL is away; then this process touches the file for
    it. Both files are what health checks look at.
    """

    def __init__(self) -> None:
        self._own = _path("RESULTS_ALIVE_FILE")
        self._celery = _path("ALIVE_FILE")
        self._touched = 0
        self._touched_at = monotonic()

    def record_round(self) -> None:
        """A round of the loop has come to its end."""
        if self._own:
            self._own.touch()
        if self._celery and self._celery.exists():
            # How long it has not changed: its age would also tell of a clock that was set.
            if (touched := self._celery.stat().st_mtime_ns) != self._touched:
                self._touched, self._touched_at = touched, monotonic()
            idle = monotonic() - self._touched_at
            if idle > STALE_SECONDS:
                log.critical("Celery does not consume", seconds=round(idle))
                sys.exit(1)

    def record_outage(self) -> None:
        """A round has failed for a reason that Celery would fail for, too."""
        for file in (self._own, self._celery):
            if file and file.exists():
                file.touch()


def _path(variable: str) -> Path | None:
    return Path(text) if (text := os.environ.get(variable)) else None


async def serve(settings: Settings) -> None:
    """Run the loop until SIGTERM or SIGINT."""
    async with open_worker_context(settings) as context:
        loop = ResultLoop(context)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, loop.stop)
        log.info("waiting for results")
        await loop.run()


def main() -> None:
    """The process's entry."""
    settings = Settings.load()
    logging_setup.configure("results", settings.log_level)
    exposition.serve(metrics.REGISTRY, host=settings.metrics_host, port=settings.metrics_port)
    try:
        uvloop.run(serve(settings))
    except (SchemaOutdatedError, ApiError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
