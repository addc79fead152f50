"""Keep a part of a parser's places free of a host that is slow or hangs.

While pages of a host end quickly, it may have all places: they are free again at once. When none
has ended quickly for a while, the host is limited to its share: no further job of it starts, and
while all places are taken and jobs wait, those beyond the share give up their places. They wait
in the line of their host.
"""

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Protocol

from parser_service.fetching.places import places_in_share

QUICK_SECONDS = 2.0
"""Seconds within which a page ends quickly, and for which that lets its host exceed its share."""


class Occupant(Protocol):
    """Hold a place of a parser."""

    def give_up_place(self) -> None:
        """Stop, and wait in the line of the host; do nothing if the page has ended."""


class HostShares:
    """Count the jobs of each host that occupy a place.

    Args:
        places: the parser's.
        share: the part of them that a slow host may have; at least one place.
        clock: seconds, by which pages are quick.
    """

    def __init__(
        self, places: int, *, share: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._places = places
        self._most = places_in_share(places, share)
        self._clock = clock
        self._hosts: dict[str, _HostJobs] = {}

    def has_room_for(self, host: str) -> bool:
        """Return whether one more job of a host may occupy a place."""
        return self.max_more_jobs(host) > 0

    def max_more_jobs(self, host: str) -> int:
        """Return how many more jobs of a host may occupy places, if there are any."""
        found = self._hosts.get(host)
        if found is None:
            return self._most
        if self._is_quick(found):
            return self._places
        return max(0, self._most - len(found.entered_at))

    def enter(self, host: str, occupant: Occupant) -> None:
        """Count a job of a host."""
        now = self._clock()
        # A host that has no job here is not known to be slow.
        found = self._hosts.setdefault(host, _HostJobs(quick_at=now))
        found.entered_at[occupant] = now

    def leave(self, host: str, occupant: Occupant, *, has_ended: bool) -> None:
        """Count a job no longer; if it ended quickly, its host is quick.

        Args:
            host: where it was counted.
            occupant: the job.
            has_ended: whether the host is done with it, as opposed to its being parked.
        """
        found = self._hosts.get(host)
        if found is None or occupant not in found.entered_at:
            return
        now = self._clock()
        if now - found.entered_at.pop(occupant) <= QUICK_SECONDS and has_ended:
            found.quick_at = now
        if not found.entered_at:
            del self._hosts[host]

    def occupants_beyond_share(self) -> Iterator[Occupant]:
        """Return the jobs beyond the shares of slow hosts, the newest of each host."""
        for host in list(self._hosts.values()):
            if len(host.entered_at) > self._most and not self._is_quick(host):
                yield from list(host.entered_at)[self._most :]

    def _is_quick(self, host: "_HostJobs") -> bool:
        return self._clock() - host.quick_at <= QUICK_SECONDS


class _HostJobs:
    """Hold the jobs of one host in the order in which they came.

    Attributes:
        entered_at: when each job got its place.
        quick_at: when a page last ended quickly.
    """

    def __init__(self, *, quick_at: float) -> None:
        self.entered_at: dict[Occupant, float] = {}
        self.quick_at = quick_at
