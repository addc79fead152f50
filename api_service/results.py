"""Takes finished results and persists them in batches. Run as `python -m api_service.results`.

A process of its own beside Celery, in the service `worker`: an endless Celery task would
never let SIGTERM finish. A shell round a loop:

1. Wait for announcements of our own jobs, and take as many as there are, up to a batch.
2. Read the results they name and persist them in one transaction.
3. Delete the results after the commit. Writing a result twice changes nothing, so a crash
   between the two does no harm.
4. Once a second, look for results that nobody announced: a foreign parser stores them
   under the result key and knows no more than that.
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
from redis.exceptions import RedisError

from api_service import log as logging_setup
from api_service.config import Settings
from api_service.dependencies import JobContext, open_job_context
from api_service.exceptions import ApiError, SchemaOutdatedError
from api_service.parser_client import Announcement, Result

BATCH = 200
BLOCK_SECONDS = 1.0
POLL_SECONDS = 1.0
POLL_BATCH = 1000
MAX_BACKOFF_SECONDS = 5.0

log = structlog.get_logger()


class ResultLoop:
    """Moves results from Redis to PostgreSQL until it is stopped."""

    def __init__(self, context: JobContext) -> None:
        self._jobs = context.jobs
        self._queue = context.queue
        self._stopping = asyncio.Event()
        self._next_poll = 0.0
        self._polled_up_to = 0

    def stop(self) -> None:
        """Persist what has been announced so far, then end."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until stopped."""
        alive = Path(path) if (path := os.environ.get("RESULTS_ALIVE_FILE")) else None
        backoff = 0.1
        unsaved: list[Announcement] = []
        while True:
            try:
                if not unsaved:
                    block = 0.01 if self._stopping.is_set() else BLOCK_SECONDS
                    unsaved = await self._queue.take_announcements(BATCH, block=block)
                if not unsaved and self._stopping.is_set():
                    return
                await self._persist_announced(unsaved)
                unsaved = []
                await self._poll()
                backoff = 0.1
                if alive:
                    alive.touch()
            except (RedisError, OSError, ApiError) as error:
                if self._stopping.is_set():
                    return
                log.warning("results not persisted yet", error=repr(error), retry_in=backoff)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _persist_announced(self, announcements: list[Announcement]) -> None:
        tokens = {announcement.id: announcement.token for announcement in announcements}
        results = await self._queue.results(list(tokens))
        # A key may hold the result of another attempt by now: that one is announced itself.
        await self._persist({i: r for i, r in results.items() if r.token == tokens[i]})

    async def _poll(self) -> None:
        if monotonic() < self._next_poll:
            return
        self._next_poll = monotonic() + POLL_SECONDS
        ids = await self._jobs.processing_ids(after=self._polled_up_to, limit=POLL_BATCH)
        self._polled_up_to = ids[-1] if len(ids) == POLL_BATCH else 0
        for start in range(0, len(stored := await self._queue.stored(ids)), BATCH):
            results = await self._queue.results(stored[start : start + BATCH])
            await self._persist({i: r for i, r in results.items() if r.token is None})

    async def _persist(self, results: dict[int, Result]) -> None:
        if results:
            await self._jobs.record(results)
            await self._queue.forget(list(results))


async def serve(settings: Settings) -> None:
    """Run the loop until SIGTERM or SIGINT."""
    async with open_job_context(settings) as context:
        loop = ResultLoop(context)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, loop.stop)
        log.info("waiting for results")
        await loop.run()


def main() -> None:
    """The process's entry."""
    settings = Settings.load()
    logging_setup.configure("results", settings.log_level)
    try:
        uvloop.run(serve(settings))
    except (SchemaOutdatedError, ApiError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
