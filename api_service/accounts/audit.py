"""Log every change of accounts, keys and roles: who did what, to whom, and from where.

A line names users, sessions and keys by their ids; no address of a person, no token and no
password is in it.
"""

from typing import Any
from uuid import UUID

import structlog

from api_service.accounts.users import Actor

log = structlog.get_logger()


def audit(action: str, actor: Actor | None, *, target: UUID | None, **details: Any) -> None:
    """Log a change after it was committed.

    Args:
        action: what was done, such as `key.created`.
        actor: who did it; None for an operator on the machine.
        target: the user whom it concerns.
        details: further ids and values, never secrets.
    """
    caller = actor.caller if actor else None
    owner = caller.owner_id if caller else None
    log.info(
        "audit",
        action=action,
        actor="operator" if actor is None else str(owner) if owner else "anonymous",
        credential=caller.credential_id if caller else None,
        address=actor.address if actor else None,
        target=str(target) if target else None,
        **details,
    )
