"""Run coroutines for Celery's synchronous tasks."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

T = TypeVar("T")
ContextT = TypeVar("ContextT")


class TaskRunner(Generic[ContextT]):
    """Runs coroutine functions on one event loop and one context of this process.

    The calling thread waits until they end.

    A database engine belongs to one loop, so both are made once and kept.
    """

    def __init__(self, context: AbstractAsyncContextManager[ContextT]) -> None:
        self._stack = contextlib.AsyncExitStack()
        self._runner = asyncio.Runner()
        try:
            self._context = self._runner.run(
                _as_coroutine(self._stack.enter_async_context(context))
            )
        except BaseException:
            self._runner.close()
            raise

    def run(self, call: Callable[[ContextT], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function on the context until it ends."""
        return self._runner.run(call(self._context))

    def close(self) -> None:
        """Close the context and the loop."""
        self._runner.run(self._stack.aclose())
        self._runner.close()


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable
