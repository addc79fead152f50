"""Lengthen the pauses between attempts to reach a server that is down."""


class Backoff:
    """Hand out pauses that double from `first` to `limit` seconds, without jitter."""

    def __init__(self, *, first: float = 0.1, limit: float = 5.0) -> None:
        self._first = self._next = first
        self._limit = limit

    def next_pause(self) -> float:
        """Return the seconds to pause now, and double the next pause."""
        seconds, self._next = self._next, min(self._next * 2, self._limit)
        return seconds

    def reset(self) -> None:
        """Begin with the first pause again: an attempt succeeded."""
        self._next = self._first
