"""What happened on the way to a connection: noted by socket and TLS, read by the transport."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class ConnectionProgress:
    """What happened on the way to a connection for one request."""

    has_dialled: bool = False
    has_begun_handshake: bool = False


# Set anew for each request, in the task that waits for it and so for all that it starts.
current_progress: ContextVar[ConnectionProgress | None] = ContextVar(
    "current_progress", default=None
)
