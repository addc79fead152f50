"""Find the worker from a Celery task, in the core or in a capability.

A task is a shell round a coroutine function, which `current_worker().run_or_log_outage` calls with
the collaborators of the process, such as
`current_worker().run_or_log_outage(lambda collaborators: count(collaborators.get(Database)))`.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from api_service.process.collaborators import CollaboratorRegistry

T = TypeVar("T")
CallWithCollaborators = Callable[[CollaboratorRegistry], Coroutine[Any, Any, T]]


class TaskWorker(Protocol):
    """The worker as tasks see it."""

    def run_or_log_outage(self, call: CallWithCollaborators[T]) -> T | None:
        """Run a use case; if a server is unreachable, log that and return None."""


_current: TaskWorker | None = None


def current_worker() -> TaskWorker:
    """Return the worker that tasks run in.

    Raises:
        RuntimeError: the worker was not initialised.
    """
    if _current is None:
        raise RuntimeError("the worker has not been initialised")
    return _current


def set_current_worker(worker: TaskWorker | None) -> None:
    """Make a worker the one that tasks run in."""
    global _current  # noqa: PLW0603 - Celery's tasks and signals have no other place to share
    _current = worker
