"""Find the worker's process from a Celery task, in the core or in a capability.

A task is a shell round a coroutine function, which `current_process().run` calls with the
collaborators of the process, such as
`current_process().run(lambda collaborators: count(collaborators.get(Database)))`.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from api_service.process.collaborators import Collaborators

T = TypeVar("T")
Call = Callable[[Collaborators], Coroutine[Any, Any, T]]


class Process(Protocol):
    """The process as tasks see it."""

    def run(self, call: Call[T]) -> T | None:
        """Run a use case; return None if a server is unreachable."""


_current: Process | None = None


def current_process() -> Process:
    """Return the process that tasks run in.

    Raises:
        RuntimeError: the worker was not initialised.
    """
    if _current is None:
        raise RuntimeError("the worker has not been initialised")
    return _current


def set_current_process(process: Process | None) -> None:
    """Make a process the current one."""
    global _current  # noqa: PLW0603 - Celery's tasks and signals have no other place to share
    _current = process
