"""Who calls: the value that each use case and each statement on a caller's behalf takes."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """One who sends requests, and sees no other caller's.

    Attributes:
        owner_id: owns what the caller creates; None for anonymous callers, who share one view.
    """

    owner_id: UUID | None = None


ANONYMOUS = Caller()
"""A caller without an account. Its requests have no owner."""
