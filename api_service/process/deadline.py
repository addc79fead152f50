"""Give up on work that is slow to stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class AbandoningTimeout:
    """Give up on work after some seconds, but let it finish breaking off.

    Cancelled work can take seconds more: a driver that talks to a silent server waits for it
    even then. So nothing waits for the cancelled task; it is only referenced until it ends,
    as asyncio itself holds tasks weakly.

    Args:
        seconds: until the caller gives up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._abandoned: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the work's outcome.

        Raises:
            TimeoutError: the work took too long and was cancelled.
            Exception: what the work raised.
        """
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=self._seconds)
            if not done:
                raise TimeoutError
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                self._abandoned.add(task)
                task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log it as never retrieved
