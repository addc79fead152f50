"""Provide dependencies to the handlers of any room; a room's own are in the room."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from api_service.caller import CALLER_SCOPE_KEY, Caller
from api_service.exceptions import NotAuthenticatedError
from api_service.process.collaborators import CollaboratorRegistry

T = TypeVar("T")


@cache
def provided(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    """Make the dependency that hands a handler the application's one object of a class.

    The same class gives the same dependency, so `dependency_overrides` can name it.
    """

    async def provide(request: Request) -> T:
        collaborators: CollaboratorRegistry = request.app.state.collaborators
        return collaborators.get(kind)

    return provide


async def _trace_id(request: Request) -> str | None:
    trace_id: str | None = request.scope.get("trace_id")
    return trace_id


async def _root_path(request: Request) -> str:
    root_path: str = request.scope.get("root_path", "")
    return root_path


async def current_caller(request: Request) -> Caller:
    """Return who calls, as `edge/door.py` found out.

    Raises:
        NotAuthenticatedError: nothing found out.
    """
    caller: Caller | None = request.scope.get(CALLER_SCOPE_KEY)
    if caller is None:
        raise NotAuthenticatedError
    return caller


CurrentCaller = Annotated[Caller, Depends(current_caller)]
"""Who calls: a user, or `ANONYMOUS` where callers without an account are admitted."""
RootPath = Annotated[str, Depends(_root_path)]
"""The path under which a proxy serves the API; each path in an answer begins with it."""
TraceId = Annotated[str | None, Depends(_trace_id)]
"""The id that ties the log lines of one request together; see `edge/request_context.py`."""
