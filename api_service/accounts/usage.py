"""What a caller uses of their limits, put together from where it is counted."""

from dataclasses import dataclass

from api_service.caller import Caller
from api_service.edge.request_rates import RequestRates
from api_service.owners.use import CallerUse


@dataclass(frozen=True, slots=True)
class CallerUsage:
    """What a caller uses now, by the names of `CallerLimits`; None if it is not counted."""

    requests_per_minute: int | None = None
    unfinished_requests: int | None = None
    stored_bytes: int | None = None


class UsageReader:
    """Put together what other rooms count.

    Args:
        owned: counts what a caller has.
        rates: counts a caller's HTTP requests.
    """

    def __init__(self, owned: CallerUse, rates: RequestRates) -> None:
        self._owned = owned
        self._rates = rates

    async def read(self, caller: Caller) -> CallerUsage:
        """Return what the caller uses now; nothing is counted of callers without an account.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        if caller.owner_id is None:
            return CallerUsage()
        found = await self._owned.read(caller)
        requests = await self._rates.read_used(caller)
        return CallerUsage(requests, found.unfinished_requests, found.stored_bytes)
