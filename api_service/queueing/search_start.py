"""Remember from where on a search that is repeated each second can find anything.

PostgreSQL keeps the index entries of rows that have moved on for as long as any snapshot may see
them: while a backup runs, those are all since it began. A search that starts behind them costs as
much as without them.
"""

from typing import Generic, TypeVar

FULL_SEARCH_SECONDS = 60.0
"""Seconds between two searches that start at the bottom."""

T = TypeVar("T")


class SearchStart(Generic[T]):
    """Holds the start of the next search.

    A row may be committed after rows that it precedes. So a search starts where the last but one
    search found the first row, and now and then at the bottom.
    """

    def __init__(self) -> None:
        self._found: tuple[T | None, T | None] = (None, None)

    def get(self) -> T | None:
        """Return where to start; None is the bottom."""
        return self._found[0]

    def record_first(self, first: T) -> None:
        """Record the first row that a search has left, or where the next one may come.

        `get` returns it after the next record.
        """
        self._found = (self._found[1], first)

    def reset(self) -> None:
        """Start the next search at the bottom."""
        self._found = (None, None)
