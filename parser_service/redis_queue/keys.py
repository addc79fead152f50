"""Name every key in Redis that the parser reads or writes.

`docs/wire-contract.md` lists them all; `tests/contract/test_keys.py` holds this to it.
Scripts that reach hosts only Redis knows build their names in `lua/host_keys.lua`.
"""

from dataclasses import dataclass

from parser_service.config import Settings


@dataclass(frozen=True, slots=True)
class Keys:
    """Build the names of keys from the two settings that both services share.

    Attributes:
        task_queue: the list of jobs; names of other keys begin with it, those of results apart.
        result_prefix: what the name of a result begins with.
    """

    task_queue: str
    result_prefix: str

    @classmethod
    def of(cls, settings: Settings) -> "Keys":
        """Return the names that the settings ask for."""
        return cls(task_queue=settings.task_queue, result_prefix=settings.result_prefix)

    @property
    def ready_jobs(self) -> str:
        """Name the list of jobs whose host has a slot for them; taken before `task_queue`."""
        return f"{self.task_queue}:ready"

    @property
    def leases(self) -> str:
        """Name the sorted set of tokens of jobs that parsers hold, by the end of their leases."""
        return f"{self.task_queue}:leases"

    @property
    def parsers(self) -> str:
        """Name the sorted set of parsers, by the second in which each was last seen."""
        return f"{self.task_queue}:parsers"

    @property
    def api_reply_list(self) -> str:
        """Name the reply list of our own API."""
        return f"{self.task_queue}:done"

    @property
    def api_unpersisted_bytes(self) -> str:
        """Name the size of the API's results that are announced and not persisted yet."""
        return unpersisted_bytes_key(self.api_reply_list)

    @property
    def hosts_with_waiters(self) -> str:
        """Name the sorted set of hosts with waiters, by the time of their next check."""
        return f"{self.task_queue}:hosts"

    @property
    def slot_holder_counter(self) -> str:
        """Name the counter that names the holders of slots which are handed over."""
        return f"{self.task_queue}:holders"

    def last_taken_messages(self, parser_run: str) -> str:
        """Name the list of what a parser took last, in one run of its process."""
        return f"{self.task_queue}:taking:{parser_run}"

    def result(self, id: int | str) -> str:
        """Name the result of a job."""
        return f"{self.result_prefix}{id}"

    def host_slots(self, host: str) -> str:
        """Name the sorted set of the holders of a host's slots, by the end of their leases."""
        return f"{self.task_queue}:host:{host}:slots"

    def host_waiting_jobs(self, host: str) -> str:
        """Name the list of jobs that wait for a host."""
        return f"{self.task_queue}:host:{host}:waiting"

    def host_tickets(self, host: str) -> str:
        """Name the list of requests of `GET /fetch` that wait for a host."""
        return f"{self.task_queue}:host:{host}:tickets"

    def host_next_slot_time(self, host: str) -> str:
        """Name the time at which the next slot of a host may be taken."""
        return f"{self.task_queue}:host:{host}:next"

    def host_next_request_time(self, host: str) -> str:
        """Name the time at which the next request to a host may begin."""
        return f"{self.task_queue}:host:{host}:begin"


def unpersisted_bytes_key(reply_list: str) -> str:
    """Name the size of the results that are announced on a reply list and not persisted yet."""
    return f"{reply_list}:bytes"
