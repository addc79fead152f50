"""Moves results from Redis to PostgreSQL, in batches.

1. Take announcements, up to a batch in number and in bytes; wait if there are none.
2. Read the results and persist them: in one transaction, or in several if they are larger than
   announced.
3. Delete announcements and results after the commit. Writing a result twice changes nothing, so
   a crash between the two does no harm.
4. Once a second, look for results that were never announced (`unannounced_results.py`).
"""

import asyncio
import contextlib
from pathlib import Path

import structlog
from redis.exceptions import OutOfMemoryError, RedisError

from api_service.assembly.worker import WorkerContext
from api_service.endings.service import Endings
from api_service.exceptions import ApiError
from api_service.parser_client.census import RedisCensus
from api_service.parser_client.messages import UnreadableResult
from api_service.parser_client.results import ResultStore
from api_service.parser_client.wrong_type import is_wrong_type_error
from api_service.process.backoff import Backoff
from api_service.worker.unannounced_results import UnannouncedResultPoller
from api_service.worker.watchdog import CeleryWatchdog

MAX_RESULTS_PER_BATCH = 200
MAX_RESULT_BATCH_BYTES = 16 * 1024 * 1024
MAX_ANNOUNCEMENT_WAIT_SECONDS = 1.0
"""Longest wait for an announcement; shorter than the timeout of a Redis command."""

log = structlog.get_logger()


def build_result_loop(
    context: WorkerContext,
    *,
    own_alive_file: Path | None = None,
    celery_alive_file: Path | None = None,
) -> "ResultLoop":
    """Make a loop on a worker's collaborators; see `CeleryWatchdog` for the files."""
    return ResultLoop(
        results=context.results,
        census=context.census,
        endings=context.endings,
        foreign=UnannouncedResultPoller(
            database=context.database, results=context.results, endings=context.endings
        ),
        watchdog=CeleryWatchdog(own_alive_file=own_alive_file, celery_alive_file=celery_alive_file),
    )


class ResultLoop:
    """Persists announced results until it is stopped."""

    def __init__(
        self,
        *,
        results: ResultStore,
        census: RedisCensus,
        endings: Endings,
        foreign: UnannouncedResultPoller,
        watchdog: CeleryWatchdog,
    ) -> None:
        self._results = results
        self._census = census
        self._endings = endings
        self._foreign = foreign
        self._watchdog = watchdog
        self._stopping = asyncio.Event()

    def request_stop(self) -> None:
        """Persist what has been announced so far, then end."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until stopped."""
        backoff = Backoff()
        while True:
            try:
                worked = await self._persist_batch_or_wait()
                if self._stopping.is_set() and not worked:
                    return
                await self._foreign.persist_if_due()
                self._watchdog.touch_and_exit_if_celery_idle()
                backoff.reset()
            except (RedisError, OSError, ApiError) as error:
                if self._stopping.is_set():
                    return
                self._watchdog.keep_alive_during_outage()
                pause = backoff.next_pause()
                log.warning("results not persisted yet", error=repr(error), retry_in=pause)
                await self._log_keys_if_wrong_type(error)
                await self._pause_unless_stopping(pause)
            except Exception:
                # Our own fault, but no reason to take Celery along. Without a record of the
                # round: a supervisor should end a process that goes on failing.
                log.exception("results not persisted yet")
                if self._stopping.is_set():
                    return
                await self._pause_unless_stopping(backoff.next_pause())

    async def _log_keys_if_wrong_type(self, error: Exception) -> None:
        if is_wrong_type_error(error):
            with contextlib.suppress(RedisError, OSError):  # an outage shows at the next round
                await self._census.log_keys_of_wrong_type()

    async def _persist_batch_or_wait(self) -> bool:
        """Persist one batch; return whether anything was announced."""
        taken = await self._results.fill_up_taken_announcements(
            limit=MAX_RESULTS_PER_BATCH, max_bytes=MAX_RESULT_BATCH_BYTES
        )
        if not taken:
            if not self._stopping.is_set():
                await self._wait_and_take_announcement()
            return False
        tokens = {announced.token: announced.id for announced in taken}
        last_tokens = {announced.id: announced.token for announced in taken}
        persisted: list[int] = []
        async for results in self._results.read_in_portions(list(last_tokens)):
            for request_id, result in results.items():
                # What cannot be read names no attempt. The announcement does.
                if isinstance(result, UnreadableResult):
                    token = last_tokens[request_id]
                    results[request_id] = result.model_copy(update={"token": token})
            # The UPDATE checks tokens as well: this only spares it results of another attempt,
            # which have an announcement of their own.
            valid = {i: r for i, r in results.items() if r.token and tokens.get(r.token) == i}
            await self._endings.record(valid)
            persisted += valid
        await self._results.acknowledge(taken, persisted)
        return True

    async def _wait_and_take_announcement(self) -> None:
        try:
            await self._results.wait_and_take_announcement(MAX_ANNOUNCEMENT_WAIT_SECONDS)
        except OutOfMemoryError:
            # A full Redis refuses to move announcements. Taking frees memory and is allowed.
            await self._pause_unless_stopping(0.1)

    async def _pause_unless_stopping(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
