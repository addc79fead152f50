"""Show that this parser lives: in Redis for the API, in a file for its supervisor."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from parser_service.jobs.runnable import RunnableJob
from parser_service.redis_queue.host_limits import HostLimits
from parser_service.redis_queue.job_queue import JobQueue

HEARTBEAT_SECONDS = 1.0

log = structlog.get_logger()


class Heartbeat:
    """Renew leases, record this parser and hand out slots that are due, once a second.

    Args:
        held: returns the jobs that this parser holds now.
        alive_file: touched after each beat; an outage of Redis is not this parser's fault, so
            the file is touched then also.
    """

    def __init__(
        self,
        *,
        queue: JobQueue,
        limits: HostLimits | None,
        held: Callable[[], Sequence[RunnableJob]],
        alive_file: Path | None,
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._held = held
        self._alive_file = alive_file
        self._unleased: set[str] = set()

    def lease_at_next_beat(self, tokens: Iterable[str]) -> None:
        """Lease these jobs with the next beat, if they are still held: Redis did not answer."""
        self._unleased.update(tokens)

    async def run(self) -> None:
        """Beat until cancelled, whatever fails."""
        while True:
            await self.beat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def beat(self) -> None:
        """Record this parser, hand out due slots of hosts, renew leases, and touch the file."""
        held = self._held()
        tokens = [runnable.job.token for runnable in held if runnable.job.token]
        try:
            # First what concerns this parser only: a key that somebody broke must not hide it.
            await self._queue.record_heartbeat()
            if self._limits is not None:
                await self._limits.hand_out_due_slots()
            await self._lease_unleased(tokens)
            await self._queue.renew_leases(tokens)
            self._touch_alive_file()
        except (RedisError, OSError) as error:
            log.warning("leases not renewed", held=len(held), error=str(error))
            with contextlib.suppress(OSError):
                self._touch_alive_file()
        except Exception:
            # Without a touch: a supervisor should end a parser that has a fault.
            log.exception("leases not renewed", held=len(held))

    async def _lease_unleased(self, tokens: Sequence[str]) -> None:
        unleased = frozenset(self._unleased)
        await self._queue.lease_jobs([token for token in tokens if token in unleased])
        self._unleased -= unleased

    def _touch_alive_file(self) -> None:
        if self._alive_file is not None:
            self._alive_file.touch()
