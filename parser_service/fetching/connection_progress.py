"""Record how far a request got on the way to a connection, so that its failure has a name."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class ConnectionProgress:
    """Hold what one request's connection has reached.

    Attributes:
        has_dialled: a new socket was made; otherwise the request uses a pooled connection.
        has_begun_handshake: TLS began on it.
    """

    has_dialled: bool = False
    has_begun_handshake: bool = False


# Set for each request in the task that waits for it; the tasks that it starts inherit it.
current_progress: ContextVar[ConnectionProgress | None] = ContextVar(
    "current_progress", default=None
)
