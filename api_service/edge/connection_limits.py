"""Say how slow a client may be."""

from dataclasses import dataclass
from math import inf

LIMITS_STATE_KEY = "connection_limits"
"""The name of the limits in the state that the application's start hands to the server."""
BODY_TOO_SLOW_SCOPE_KEY = "page_parser.body_too_slow"
"""The member of a request's scope that says that no more of its body is waited for."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limit the time of one connection.

    Attributes:
        header_seconds: until a header is complete.
        body_seconds: in which a body must bring `least_rate` bytes for each second, repeatedly.
        response_seconds: likewise for what the client takes of an answer.
        least_rate: bytes per second.
    """

    header_seconds: float = 10.0
    body_seconds: float = 10.0
    response_seconds: float = 30.0
    least_rate: int = 1024

    @property
    def check_interval_seconds(self) -> float:
        """Return the seconds between two looks at a connection."""
        shortest = min(self.header_seconds, self.body_seconds, self.response_seconds)
        return min(1.0, max(0.02, shortest / 10))


class RateCheck:
    """Tell whether bytes move at a least rate.

    It compares window by window, so a burst gives no credit for later.

    Args:
        seconds: of one window.
        rate: bytes per second.
    """

    def __init__(self, seconds: float, rate: int) -> None:
        self._seconds = seconds
        self._least = seconds * rate
        self._end = inf
        self._moved = 0

    def begin(self, now: float) -> None:
        """Begin a window."""
        self._end = now + self._seconds
        self._moved = 0

    def count(self, size: int) -> None:
        """Count bytes that moved."""
        self._moved += size

    def check_and_renew_window(self, now: float) -> bool:
        """Return whether the window ended with too little, and begin the next if it has ended."""
        if now < self._end:
            return False
        too_slow = self._moved < self._least
        self.begin(now)
        return too_slow
