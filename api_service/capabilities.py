"""List what is built in besides parse requests.

`main` reads it for routes, the assembly for collaborators and for what endings need, and Celery's
configuration for task modules and entries of beat's schedule. Routers are loaded when called: a
process that serves no HTTP never imports FastAPI.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from api_service.caller import Scope
from api_service.config import Settings
from api_service.process.collaborators import CollaboratorRegistry

if TYPE_CHECKING:
    from fastapi import APIRouter

    from api_service.endings.service import Recorder
    from api_service.endings.steps import EndingStep
    from api_service.owners.deletion import OwnerEraser

CapabilityOpener = Callable[[Settings, CollaboratorRegistry], AbstractAsyncContextManager[None]]
"""Makes a capability's collaborators from those that are there, and closes them at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Say what one capability adds to each kind of process.

    Attributes:
        name: its room, or a package of its own.
        router: loads its routes.
        public_calls: calls for everybody, as a method and a route's path, such as `GET /health`.
            All others are for known callers, and for those without an account where these are
            admitted. The caller of a public call that only reads is not found out.
        operator_calls: calls for operators: for administrators, for whoever has `METRICS_TOKEN`,
            and for those without an account where these are admitted.
        call_scopes: what a token must have for calls whose method does not tell; None for any
            token.
        open: makes what its routes use, once for each application.
        open_worker: makes what its tasks use, once for each process of a worker.
        ending_steps: what it does when requests end, in their transaction.
        recorders: how the results of its own kinds of jobs are written, by kind.
        erasers: delete what it keeps of an owner, a little at each call.
        task_modules: modules with its Celery tasks: shells round coroutine functions that
            `process/current.py` runs.
        beat_schedule: its periodic tasks, in Celery's form. They go to `API_QUEUE`, unless the
            entry's `options` name `CONTROL_QUEUE`.
    """

    name: str
    router: "Callable[[], APIRouter] | None" = None
    public_calls: tuple[str, ...] = ()
    operator_calls: tuple[str, ...] = ()
    call_scopes: Mapping[str, Scope | None] = field(default_factory=dict)
    open: CapabilityOpener | None = None
    open_worker: CapabilityOpener | None = None
    ending_steps: "tuple[EndingStep, ...]" = ()
    recorders: "Mapping[str, Recorder]" = field(default_factory=dict)
    erasers: "tuple[OwnerEraser, ...]" = ()
    task_modules: tuple[str, ...] = ()
    beat_schedule: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _operation_router() -> "APIRouter":
    from api_service.operation.routes import router  # noqa: PLC0415 - workers serve no HTTP

    return router


def _open_operation(
    settings: Settings, collaborators: CollaboratorRegistry
) -> AbstractAsyncContextManager[None]:
    from api_service.operation.wiring import open_operation  # noqa: PLC0415 - nor scrape gauges

    return open_operation(settings, collaborators)


def _reference_router() -> "APIRouter":
    from api_service.reference.routes import router  # noqa: PLC0415 - as above

    return router


def _accounts_router() -> "APIRouter":
    from api_service.accounts.routes import router  # noqa: PLC0415 - as above

    return router


def _open_accounts(
    settings: Settings, collaborators: CollaboratorRegistry
) -> AbstractAsyncContextManager[None]:
    from api_service.accounts.wiring import open_accounts  # noqa: PLC0415 - nor check passwords

    return open_accounts(settings, collaborators)


CAPABILITIES: tuple[Capability, ...] = (
    Capability(
        name="accounts",
        router=_accounts_router,
        public_calls=(
            "POST /auth/register",
            "POST /auth/login",
            "POST /auth/session",
            "DELETE /auth/session",
            "GET /auth/deletions/{deletion_id}",
        ),
        call_scopes={"GET /auth/me": None, "GET /auth/keys": None, "POST /auth/logout": None},
        open=_open_accounts,
    ),
    Capability(
        name="operation",
        router=_operation_router,
        public_calls=("GET /health", "GET /ready"),
        operator_calls=("GET /metrics",),
        open=_open_operation,
    ),
    Capability(
        name="reference",
        router=_reference_router,
        public_calls=("GET /openapi.json", "GET /docs", "GET /docs/start.js", "GET /docs/{name}"),
    ),
)


def exit_on_wrong_names(capabilities: Sequence[Capability]) -> None:
    """End a starting process if two capabilities have one name, or one has no code.

    Raises:
        SystemExit: it says which.
    """
    seen = set()
    for name in (capability.name for capability in capabilities):
        if name in seen:
            sys.exit(f"Two capabilities are named {name!r}. Rename one in capabilities.py.")
        if not (name.isidentifier() and (find_spec(f"api_service.{name}") or find_spec(name))):
            sys.exit(
                f"The capability {name!r} has no room. Create api_service/{name}/, or correct its "
                f"name in capabilities.py."
            )
        seen.add(name)
