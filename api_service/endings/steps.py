"""Run what capabilities add to the transaction in which requests end.

A step and the ends that it is shown commit together. If a step fails by a fault of its own, what
it wrote is undone, and it is shown each request alone. A request for which it fails again ends
without it: a request must not wait for ever because of a counter, and the log says what is missing.
If the database fails, nothing is committed, and all of it is tried again.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from api_service.database import Session, is_transient_error
from api_service.endings.attempts import AttemptOutcome

EndingStep = Callable[[Session, Sequence[AttemptOutcome]], Awaitable[None]]
"""Add something to the transaction in which requests end, such as a counter."""

log = structlog.get_logger()


async def run_steps(
    session: Session, steps: Sequence[EndingStep], ended: Sequence[AttemptOutcome]
) -> None:
    """Show each step, in this order, the requests that end in the session's transaction.

    What fails by a step's own fault is logged and left out; an outage is raised.
    """
    for step in steps:
        if len(ended) > 1 and await _run_and_return_fault(session, step, ended) is None:
            continue
        for change in ended:
            if error := await _run_and_return_fault(session, step, [change]):
                log.error(
                    "ending step left out",
                    step=_name_of(step),
                    request_id=change.request_id,
                    error=repr(error)[:300],
                    exc_info=error,
                )


async def _run_and_return_fault(
    session: Session, step: EndingStep, ended: Sequence[AttemptOutcome]
) -> Exception | None:
    """Run one step; if it fails by its own fault, undo what it wrote and return its error."""
    try:
        async with session.begin_nested():
            await step(session, ended)
    except Exception as error:
        if is_transient_error(error):
            raise
        return error
    return None


def _name_of(step: EndingStep) -> str:
    named = step if hasattr(step, "__qualname__") else type(step)
    return f"{named.__module__}.{named.__qualname__}"
