"""Bound the requests of `GET /fetch` that a parser serves at a time: in all, and for one host."""

import asyncio
from collections import Counter


class FetchPlaces:
    """Hand out places, first come first served; no host has more than its share of them.

    A request first joins its host's share, where it may wait for a slot of the host, and takes a
    place only when it has one: whoever waits for a host keeps others from nothing.

    Args:
        number: places in all.
        share: the part of them that one host may have; at least one.
    """

    def __init__(self, number: int, *, share: float) -> None:
        self._most = places_in_share(number, share)
        self._places = asyncio.Semaphore(number)
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    def has_room_in_share(self, host: str) -> bool:
        """Return whether `join_share` returns at once."""
        return host not in self._hosts or not self._hosts[host].locked()

    async def join_share(self, host: str) -> None:
        """Wait until the host's share has room for one more request."""
        if host not in self._hosts:
            self._hosts[host] = asyncio.Semaphore(self._most)
        self._users[host] += 1
        try:
            await self._hosts[host].acquire()
        except BaseException:
            self._uncount_request(host)
            raise

    def leave_share(self, host: str) -> None:
        """Make room in a share that was joined."""
        self._hosts[host].release()
        self._uncount_request(host)

    def has_free_place(self) -> bool:
        """Return whether `take` returns at once."""
        return not self._places.locked()

    async def take(self) -> None:
        """Wait for a place."""
        await self._places.acquire()

    def give_back(self) -> None:
        """Free a place that was taken."""
        self._places.release()

    def _uncount_request(self, host: str) -> None:
        self._users[host] -= 1
        if not self._users[host]:
            del self._users[host], self._hosts[host]


def places_in_share(number: int, share: float) -> int:
    """Return how many of some places a share of them is: whole ones, and at least one."""
    return max(1, int(number * share))
