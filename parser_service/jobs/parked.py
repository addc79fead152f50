"""Write and read jobs that wait for their host; `redis_queue/lua/parked.lua` is the twin.

A job is parked as one object of JSON. When its host has a slot for it, a script moves it to the
list of ready jobs as three lines: the slot's holder, the host, and the job as it was parked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel

from parser_service.fetching.hop import Hop
from parser_service.redis_queue.host_limits import Slot


class ParkedJob(BaseModel):
    """Hold a job's message and how far its page has come.

    Attributes:
        job: the message, unchanged.
        url: where to go on.
        redirects: the redirects that were followed, with their statuses.
        set_cookies: for each of them the cookies that it set; absent if none set any.
        is_allowed: whether robots.txt was found to allow the URL; absent if not.
    """

    job: str
    url: str
    redirects: list[tuple[str, int]]
    set_cookies: list[tuple[str, ...]] = []
    is_allowed: bool = False

    @classmethod
    def of(
        cls, raw: bytes, *, url: str, hops: Sequence[Hop] = (), is_allowed: bool = False
    ) -> Self:
        """Describe a job that goes on at a URL after some redirects."""
        redirects = [(hop.url, hop.status) for hop in hops]
        has_cookies = any(hop.set_cookies for hop in hops)
        return cls(
            job=raw.decode(),
            url=url,
            redirects=redirects,
            set_cookies=[hop.set_cookies for hop in hops] if has_cookies else [],
            is_allowed=is_allowed,
        )

    @property
    def job_message(self) -> bytes:
        """Return the job's message."""
        return self.job.encode()

    @property
    def hops(self) -> list[Hop]:
        """Return the redirects that were followed."""
        # An older parser parks a job without its cookies.
        set_cookies = self.set_cookies or [()] * len(self.redirects)
        return [
            Hop(url, status, cookies)
            for (url, status), cookies in zip(self.redirects, set_cookies, strict=True)
        ]

    def encode(self) -> bytes:
        """Return what is put into the list of a host."""
        return self.model_dump_json(exclude_defaults=True).encode()


@dataclass(frozen=True, slots=True)
class ReadyJob:
    """Hold a parked job whose turn has come, and the slot that it got."""

    slot: Slot
    parked: bytes

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read a message of the list of ready jobs.

        Raises:
            ValueError: it is something else.
        """
        holder, host, parked = raw.split(b"\n", 2)
        return cls(Slot(host.decode(), holder.decode()), parked)

    def read_parked(self) -> ParkedJob:
        """Read the job as it was parked.

        Raises:
            ValueError: it is something else.
        """
        return ParkedJob.model_validate_json(self.parked)
