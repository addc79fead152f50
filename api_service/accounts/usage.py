"""What a caller uses of their limits; other rooms count it."""

from dataclasses import dataclass
from typing import Protocol

from api_service.caller import Caller


@dataclass(frozen=True, slots=True)
class CallerUsage:
    """What a caller uses now, by the names of `CallerLimits`; None if it is not counted."""

    requests_per_minute: int | None = None
    unfinished_requests: int | None = None
    stored_bytes: int | None = None


class Belongings(Protocol):
    """What a caller has now."""

    @property
    def unfinished_requests(self) -> int | None:
        """Parse requests that have not ended."""
        ...

    @property
    def stored_bytes(self) -> int | None:
        """Bytes of stored pages."""
        ...


class BelongingsCount(Protocol):
    """Count what a caller has."""

    async def read(self, caller: Caller) -> Belongings:
        """Return what the caller has now."""
        ...


class RequestCount(Protocol):
    """Count a caller's requests."""

    async def read_used(self, caller: Caller) -> int:
        """Return how many the caller has sent in this minute."""
        ...


class NothingCounted:
    """Stand in for both until something counts."""

    async def read(self, caller: Caller) -> CallerUsage:
        """Return that the caller has nothing."""
        return CallerUsage() if caller.owner_id is None else CallerUsage(0, 0, 0)

    async def read_used(self, caller: Caller) -> int:
        """Return that the caller has sent nothing."""
        del caller
        return 0


class UsageReader:
    """Put together what other rooms count."""

    def __init__(self, belongings: BelongingsCount, requests: RequestCount) -> None:
        self._belongings = belongings
        self._requests = requests

    async def read(self, caller: Caller) -> CallerUsage:
        """Return what the caller uses now; nothing is counted of callers without an account.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        if caller.owner_id is None:
            return CallerUsage()
        found = await self._belongings.read(caller)
        requests = await self._requests.read_used(caller)
        return CallerUsage(requests, found.unfinished_requests, found.stored_bytes)
