"""The caller: each use case takes one, and each statement on a caller's behalf its owner."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request, who sees no other caller's requests.

    Attributes:
        owner_id: owns what the caller creates; None for anonymous callers, who share one view.
    """

    owner_id: UUID | None = None


ANONYMOUS = Caller()
"""A caller without an account. Its requests have no owner."""
