"""Reject requests while too many are unfinished.

Admission looks once a second how many are unfinished, and adds what it has accepted since. A look
does not see what is being stored meanwhile, so that is added as well. One process never accepts
more than the limit; several that share a database may exceed it by what the others accept between
two looks.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextvars import Context
from time import monotonic

import structlog

from api_service.exceptions import DatabaseUnavailableError, QueueFullError
from api_service.queueing.unfinished import UnfinishedCount

LOOK_SECONDS = 1.0

log = structlog.get_logger()


class Admission:
    """Admits requests up to a limit of unfinished ones.

    Args:
        max_unfinished: unfinished requests from which on no more are accepted.
        clock: running time in seconds.
    """

    def __init__(
        self,
        unfinished: UnfinishedCount,
        *,
        max_unfinished: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._unfinished = unfinished
        self._max_unfinished = max_unfinished
        self._clock = clock
        self._seen = 0
        self._accepted_since = 0
        self._being_stored = 0
        self._next_look = 0.0
        self._looking: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        unfinished: UnfinishedCount,
        *,
        max_unfinished: int,
        clock: Callable[[], float] = monotonic,
    ) -> "Admission":
        """Make one that has looked."""
        admission = cls(unfinished, max_unfinished=max_unfinished, clock=clock)
        await admission.look()
        return admission

    @contextlib.contextmanager
    def reserve_place(self) -> Iterator[None]:
        """Reserve a place for one more request while it is being stored.

        Afterwards it counts as accepted, even if storing it failed.

        Raises:
            QueueFullError: the limit is reached.
        """
        if self._looking is None and self._clock() >= self._next_look:
            self._looking = asyncio.create_task(self.look(), context=Context())
        if self._seen + self._accepted_since + self._being_stored >= self._max_unfinished:
            raise QueueFullError
        self._being_stored += 1
        try:
            yield
        finally:
            self._being_stored -= 1
            self._accepted_since += 1  # after a failure also: it may be stored all the same

    async def look(self) -> None:
        """Look how many are unfinished; on failure keep what was seen last."""
        accepted_before = self._accepted_since
        try:
            self._seen = await self._unfinished.look()
            self._accepted_since -= accepted_before
        except DatabaseUnavailableError:
            log.warning("requests not counted")
        finally:
            self._next_look = self._clock() + LOOK_SECONDS
            self._looking = None
