"""What a caller uses of their limits; other rooms count it."""

from dataclasses import dataclass
from typing import Protocol

from api_service.caller import Caller


@dataclass(frozen=True, slots=True)
class CallerUsage:
    """What a caller uses now; the names are those of `CallerLimits`."""

    requests_per_minute: int
    unfinished_requests: int
    stored_bytes: int


class UsageReader(Protocol):
    """Read what a caller uses."""

    async def read(self, caller: Caller) -> CallerUsage:
        """Return what the caller uses now."""
        ...


class NothingCounted:
    """Stand in until something counts."""

    async def read(self, caller: Caller) -> CallerUsage:
        """Return that nothing is used."""
        del caller
        return CallerUsage(0, 0, 0)
