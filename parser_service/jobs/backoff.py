"""Space out tries at something that fails."""

FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 5.0


class Backoff:
    """Double the pause between tries, from 0.1 s up to 5 s."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE_SECONDS

    def next_pause(self) -> float:
        """Return the seconds to wait before the next try, and double the pause after it."""
        pause = self._next
        self._next = min(pause * 2, MAX_PAUSE_SECONDS)
        return pause

    def reset(self) -> None:
        """Begin with the shortest pause again, after a success."""
        self._next = FIRST_PAUSE_SECONDS
