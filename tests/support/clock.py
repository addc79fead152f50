"""A clock that a test winds."""


class Clock:
    """Running time in seconds that passes when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
