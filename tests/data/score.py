"""Count the right answers to the cases of a suite."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Score:
    """Count the right cases of a suite, and list the wrong ones.

    Attributes:
        absent: how many of the wrong ones have no answer at all.
    """

    name: str
    what: str
    target: str
    right: int = 0
    wrong: list[Any] = field(default_factory=list)
    absent: int = 0

    def count(self, is_right: bool, case: Any) -> None:
        if is_right:
            self.right += 1
        else:
            self.wrong.append(case)

    @property
    def total(self) -> int:
        return self.right + len(self.wrong)

    @property
    def precision(self) -> float:
        """The share of the right answers among those that are given."""
        return self.right / max(self.total - self.absent, 1)
