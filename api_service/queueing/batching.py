"""Batches concurrent calls: items that arrive while one batch runs form the next.

Nothing lingers: a lone caller's item runs at once, and the busier the process, the larger its
batches.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Batcher(Generic[Item, Outcome]):
    """Collects items and runs them together, one batch at a time, in order.

    Args:
        run: does the work of a batch; its outcomes are in the order of the items.
        limit: items in a batch.
        timeout: seconds until a caller gives up; an item that has not begun is then dropped.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]],
        *,
        limit: int,
        timeout: float,
    ) -> None:
        self._run = run
        self._limit = limit
        self._timeout = timeout
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Outcome:
        """Run an item in the next batch and return its outcome.

        Raises:
            TimeoutError: it took too long; the item may or may not have been run.
            Exception: what `run` raised for the whole batch.
        """
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        if self._running is None:
            # In a context of its own: a log line of a batch has not the trace of its first caller.
            self._running = asyncio.create_task(self._run_all(), context=Context())
        async with asyncio.timeout(self._timeout):
            return await outcome

    async def drain(self) -> None:
        """Wait for the running batch, but not for longer than a caller would."""
        if self._running is not None:
            await asyncio.wait([self._running], timeout=self._timeout)

    async def _run_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._run_batch([item for item in batch if not item[1].done()])
        finally:
            self._running = None

    async def _run_batch(self, batch: list[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        if not batch:
            return
        try:
            outcomes = await self._run([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - the callers decide
            for _, outcome in batch:
                if not outcome.done():
                    outcome.set_exception(error)
        else:
            for (_, outcome), value in zip(batch, outcomes, strict=True):
                with contextlib.suppress(asyncio.InvalidStateError):  # its caller gave up
                    outcome.set_result(value)
