"""Remember from where on an owner's unfinished requests can be counted."""

SETTLE_SECONDS = 15.0
"""Longer than any transaction that stores requests."""
FULL_COUNT_SECONDS = 600.0
"""Seconds between two counts that start at the bottom."""


class SettledStart:
    """Holds the start of the next count.

    While a backup holds a snapshot, PostgreSQL keeps the index entries of requests that have ended.
    A count that starts behind them costs as much as without them. A row may be committed after rows
    that it precedes: so what a count found is the start of others only when every transaction of
    its time has ended, and now and then a count starts at the bottom.
    """

    def __init__(self) -> None:
        self._start = 0
        self._found: tuple[int, float] | None = None
        self._next_full_count: float | None = None

    def get(self, now: float) -> int:
        """Return the id to start at."""
        if self._next_full_count is None or now >= self._next_full_count:
            self._start, self._found = 0, None
            self._next_full_count = now + FULL_COUNT_SECONDS
        return self._start

    def record(self, first: int, now: float) -> None:
        """Record the first row that a count found, or where the next one may come."""
        if self._found is None:
            self._found = first, now
        elif now >= self._found[1] + SETTLE_SECONDS:
            # This count has seen what was not yet committed at that one.
            self._start = min(self._found[0], first)
            self._found = first, now
