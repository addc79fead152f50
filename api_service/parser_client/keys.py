"""Name every key in Redis that this service shares with parsers or keeps next to theirs.

`docs/wire-contract.md` lists them all; `tests/contract/test_keys.py` holds this module to it.
"""

from dataclasses import dataclass

from api_service.config import Settings


@dataclass(frozen=True, slots=True)
class Keys:
    """Derive the names of one deployment's keys from its two settings.

    Attributes:
        task_queue: the list of jobs; the other names but the results' begin with it.
        result_prefix: comes before a request's id.
    """

    task_queue: str
    result_prefix: str

    @classmethod
    def of(cls, settings: Settings) -> "Keys":
        """Return the names that the settings ask for."""
        return cls(task_queue=settings.task_queue, result_prefix=settings.result_prefix)

    def result(self, id: int) -> str:
        """Name the result of a request."""
        return f"{self.result_prefix}{id}"

    @property
    def reply_list(self) -> str:
        """Name the list on which parsers announce results."""
        return f"{self.task_queue}:done"

    @property
    def reply_bytes(self) -> str:
        """Name the size of the results that wait to be persisted; parsers read it."""
        return f"{self.reply_list}:bytes"

    def taken_announcements(self, name: str) -> str:
        """Name the list of announcements that one process has taken."""
        return f"{self.taken_prefix}{name}"

    @property
    def taken_prefix(self) -> str:
        """Return what precedes a taker's name, for scripts that learn it from Redis."""
        return f"{self.task_queue}:taken:"

    @property
    def announcement_takers(self) -> str:
        """Name the set of processes that take announcements."""
        return f"{self.task_queue}:takers"

    @property
    def leases(self) -> str:
        """Name the set of tokens that parsers hold."""
        return f"{self.task_queue}:leases"

    @property
    def expired_leases(self) -> str:
        """Name the set of tokens whose lease was found to have ended."""
        return f"{self.leases}:ended"

    @property
    def ready_jobs(self) -> str:
        """Name the list of jobs whose host has a slot for them."""
        return f"{self.task_queue}:ready"

    @property
    def hosts_with_waiters(self) -> str:
        """Name the set of hosts that jobs or requests wait for."""
        return f"{self.task_queue}:hosts"

    def host_waiting_jobs(self, host: str) -> str:
        """Name the list of jobs that wait for a host."""
        return f"{self.host_prefix}{host}{self.waiting_suffix}"

    @property
    def host_prefix(self) -> str:
        """Return what precedes a host, for scripts that learn it from Redis."""
        return f"{self.task_queue}:host:"

    @property
    def waiting_suffix(self) -> str:
        """Return what follows a host in the name of its waiting list."""
        return ":waiting"

    @property
    def parsers(self) -> str:
        """Name the set of parsers, by the second of their last heartbeat."""
        return f"{self.task_queue}:parsers"

    @property
    def workers(self) -> str:
        """Name the set of workers, by the second of their last heartbeat."""
        return f"{self.task_queue}:workers"

    @property
    def types(self) -> dict[str, str]:
        """Map each key that this service uses, and whose name is fixed, to its type."""
        lists = (self.task_queue, self.ready_jobs, self.reply_list)
        sets = (
            self.hosts_with_waiters,
            self.leases,
            self.expired_leases,
            self.announcement_takers,
            self.parsers,
            self.workers,
        )
        return (
            dict.fromkeys(lists, "list")
            | dict.fromkeys(sets, "zset")
            | {self.reply_bytes: "string"}
        )

    def attempts(self, subject: str) -> str:
        """Name the counter of somebody's attempts at something."""
        return f"{self.task_queue}:attempts:{subject}"

    def calls(self, owner: object) -> str:
        """Name the counter of the HTTP requests of one user in this minute."""
        return f"{self.task_queue}:calls:{owner}"

    def chore_cooldown(self, chore: str) -> str:
        """Name the key that exists while it is too early to do a chore again."""
        return f"{self.task_queue}:turn:{chore}"
