"""Limit how many requests a host gets at a time, and how closely they follow, over all parsers.

Scripts in Redis keep the count. Each runs undivided and on Redis's own clock:

- A host's slots are leases: the slots of a parser that dies become free when they expire.
- A job that finds no slot is parked in a list of its host and occupies no place in a parser. The
  script that frees a slot hands it to the first job in that list and moves the job to the list
  of ready jobs, which parsers take before any other.
- A request of `GET /fetch` waits as a ticket in a list of its own, which comes before the list
  of jobs, because a client waits for the answer. Its turn has come when its slot exists.

A sorted set holds the hosts with waiters, scored by their next check. `hand_out_due_slots` reads
it, because minimum intervals pass, and leases expire.

Where an interval is set, a slot does not permit a request yet: `reserve_request_time` does,
before each request, because one slot may serve a robots.txt, redirects and a page.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from parser_service.redis_queue.keys import Keys
from parser_service.redis_queue.lua_pipeline import ScriptPipeline
from parser_service.redis_queue.scripts import read_script

TICKET_CLAIM_SECONDS = 5
"""Seconds for which a slot is kept for a ticket whose turn has come, until it is claimed."""
HOST_RECHECK_SECONDS = 1
"""Seconds before a full host is checked again: by then a lease may have expired."""
UNLIMITED = 1_000_000
"""A number that limits nothing."""
MAX_HANDED_OUT_PER_HOST = 8
"""Waiters of one host that one call of `hand_out_due_slots` gives slots to. Parsers may have no
place for them (`jobs/shares.py`), so that they wait again."""
CLOSE_SECONDS = 1
"""Seconds that tickets get to be given back before the connection to Redis closes."""
MAX_HOSTS_PER_CALL = 100
"""Hosts that one call of `hand_out_due_slots` looks at, so that it never holds up Redis."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Slot:
    """Identify a slot at a host, or the ticket for one; held until `release` or its lease's end."""

    host: str
    holder: str


class HostLimits:
    """Hand out the slots of hosts, to all parsers that share one Redis.

    All methods raise RedisError or OSError if Redis is unreachable or refuses.

    Args:
        keys: the names of keys.
        max_concurrent: requests that a host gets at a time; 0 for no limit.
        min_interval: seconds between the beginnings of two requests to a host; 0 for none.
        lease: seconds after which a slot that was not left is free; above a page's deadline.

    Attributes:
        has_interval: whether each request needs `reserve_request_time`.
        is_unlimited: whether a request needs no slot.
    """

    def __init__(
        self,
        redis: aioredis.Redis,
        *,
        keys: Keys,
        max_concurrent: int,
        min_interval: float,
        lease: float,
    ) -> None:
        self._prefix = keys.task_queue
        self.has_interval = min_interval > 0
        self.is_unlimited = not max_concurrent and not min_interval
        seconds = (min_interval, lease, HOST_RECHECK_SECONDS, TICKET_CLAIM_SECONDS)
        self._limits = (max_concurrent or UNLIMITED, *(int(one * 1000) for one in seconds))
        self._cancelling: set[asyncio.Task[None]] = set()
        scripts = ScriptPipeline(redis)
        self._enter = scripts.register(read_script("enter_host"))
        self._leave = scripts.register(read_script("leave_host"))
        self._tick = scripts.register(read_script("tick_hosts"))
        self._claim = scripts.register(read_script("claim_slot"))
        self._withdraw = scripts.register(read_script("withdraw_ticket"))
        self._begin = scripts.register(read_script("begin_request"))
        self._put_aside = scripts.register(read_script("put_job_aside"))

    async def acquire_or_park(
        self, host: str, parked: bytes, *, token: str | None = None
    ) -> Slot | None:
        """Take a slot, or park the job and return None: it is no longer this parser's.

        Args:
            host: what `ParsedUrl.host_key` names.
            parked: the message to put into the list of the host.
            token: names the job's lease, which ends when the job is parked.
        """
        slot = Slot(host, secrets.token_hex(8))
        arguments = [*self._script_arguments(slot), "waiting", parked, token or ""]
        entered = await self._enter(args=arguments)
        return slot if entered else None

    async def acquire_or_get_ticket(self, host: str) -> tuple[Slot, bool]:
        """Take a slot or a ticket for one; return it, and whether the slot is held already."""
        slot = Slot(host, secrets.token_hex(8))
        arguments = [*self._script_arguments(slot), "tickets", slot.holder, ""]
        try:
            entered = await self._enter(args=arguments)
        except asyncio.CancelledError:
            # The script may have run: an unclaimed ticket would hold up the line.
            self.cancel_ticket_later(slot)
            raise
        return slot, bool(entered)

    async def claim_ticketed_slot(self, slot: Slot) -> bool:
        """Return whether a ticket's turn has come; if so, the slot is held from now on."""
        return bool(await self._claim(args=self._script_arguments(slot)))

    async def cancel_ticket(self, slot: Slot) -> None:
        """Give a ticket back, and its slot if its turn has come."""
        await self._withdraw(args=self._script_arguments(slot))

    def cancel_ticket_later(self, slot: Slot) -> None:
        """Give a ticket back without waiting for it, because Redis may hang."""
        cancelling = asyncio.create_task(self._cancel_ticket_ignoring_errors(slot))
        self._cancelling.add(cancelling)
        cancelling.add_done_callback(self._cancelling.discard)

    async def _cancel_ticket_ignoring_errors(self, slot: Slot) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self.cancel_ticket(slot)

    async def close(self) -> None:
        """Finish giving tickets back, within a second: the connection closes next."""
        if not self._cancelling:
            return
        _, late = await asyncio.wait(self._cancelling, timeout=CLOSE_SECONDS)
        for cancelling in late:
            cancelling.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def release(self, slot: Slot, *, hand_over: int = UNLIMITED) -> None:
        """Free a slot and hand free slots to the first in line, to `hand_over` of them at most."""
        await self._leave(args=[*self._script_arguments(slot), hand_over])

    async def park(self, host: str, parked: bytes, *, slot: Slot | None, token: str | None) -> None:
        """Park a job that this parser has no place for, and free its slot.

        See `acquire_or_park` for the arguments.
        """
        arguments = self._script_arguments(Slot(host, slot.holder if slot else ""))
        await self._put_aside(args=[*arguments, parked, token or ""])

    async def reserve_request_time(self, host: str, *, max_wait: float) -> float | None:
        """Reserve the next moment at which a request may begin; return the seconds until then.

        Return None and reserve nothing if they are more than `max_wait`.
        """
        arguments = [*self._script_arguments(Slot(host, "")), int(max_wait * 1000)]
        milliseconds = int(await self._begin(args=arguments))
        return None if milliseconds < 0 else milliseconds / 1000

    async def hand_out_due_slots(self) -> None:
        """Hand out the slots that are due; every parser does it each second."""
        broken = await self._tick(
            args=[
                *self._script_arguments(Slot("", "")),
                MAX_HOSTS_PER_CALL,
                MAX_HANDED_OUT_PER_HOST,
            ]
        )
        if broken:
            names = [host.decode(errors="replace") for host in broken[:10]]
            log.error("keys of hosts have another type: delete them", hosts=names)

    def _script_arguments(self, slot: Slot) -> Sequence[str | int]:
        return (self._prefix, slot.host, slot.holder, *self._limits)
