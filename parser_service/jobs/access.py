"""Give a job access to hosts: park it until its host has a slot for it."""

from collections.abc import Sequence

from parser_service import metrics
from parser_service.fetching.fetcher import Hop, NotFetchedYetError
from parser_service.fetching.host_access import SlotHolder
from parser_service.fetching.url_guard import VettedUrl
from parser_service.jobs.parked import ParkedJob
from parser_service.redis_queue.host_limits import HostLimits, Slot


class ParkedError(NotFetchedYetError):
    """The job is parked in its host's list; when its turn comes, a parser takes it again."""


class JobAccess(SlotHolder):
    """Hold the slots of a job from the list.

    Args:
        limits: None if the settings set no limits.
        raw: the job's message, to be parked.
        token: names the job's lease, which ends when the job is parked.
        slot: the slot that the job got while it was parked.
    """

    def __init__(
        self,
        limits: HostLimits | None,
        raw: bytes,
        *,
        token: str | None = None,
        slot: Slot | None = None,
    ) -> None:
        super().__init__(limits, slot=slot)
        self._raw = raw
        self._token = token

    async def _obtain_slot(
        self, limits: HostLimits, host: str, target: VettedUrl, hops: Sequence[Hop]
    ) -> Slot:
        parked = ParkedJob.of(self._raw, url=target.url, hops=hops)
        slot = await limits.acquire_or_park(host, parked.encode(), token=self._token)
        if slot is None:
            metrics.JOB_WAITS.inc()
            raise ParkedError
        return slot
