"""Limit how many requests a host gets at a time, and how closely they follow, over all parsers.

Scripts in Redis keep the count. Each runs undivided and on Redis's own clock:

- A host's slots are leases: the slots of a parser that dies become free when they expire.
- A job that finds no slot is parked in a list of its host and occupies no place in a parser. The
  script that frees a slot hands it to the first job in that list and moves the job to the list
  of ready jobs, which parsers take before any other.
- A request of `GET /fetch` waits as a ticket in a list of its own, which comes before the list
  of jobs, because a client waits for the answer. Its turn has come when its slot exists.

A sorted set holds the hosts with waiters, scored by their next check. `tick` hands out the slots
that are due: minimum intervals pass, and leases expire.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio as aioredis
import structlog

from parser_service.redis_queue.keys import Keys
from parser_service.redis_queue.lua_pipeline import ScriptPipeline
from parser_service.redis_queue.scripts import load

TICKET_CLAIM_SECONDS = 5
"""Seconds for which a slot is kept for a ticket whose turn has come, until it is claimed."""
RECHECK_SECONDS = 1
"""Seconds before a full host is checked again: by then a lease may have expired."""
MAX_HOSTS_PER_CALL = 100
"""Hosts that one call of `tick` looks at, so that it never holds up Redis for long."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Slot:
    """Identify a place at a host, which is held until `leave` or until its lease ends."""

    host: str
    holder: str


class HostLimits:
    """Hand out the slots of hosts, to all parsers that share one Redis.

    All methods raise RedisError or OSError if Redis is unreachable or refuses.

    Args:
        keys: the names of keys.
        max_concurrent: requests that a host gets at a time.
        min_interval: seconds between the beginnings of two requests to a host.
        lease: seconds after which a slot that was not left is free; above a page's deadline.
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
        seconds = (min_interval, lease, RECHECK_SECONDS, TICKET_CLAIM_SECONDS)
        self._limits = (max_concurrent, *(int(one * 1000) for one in seconds))
        scripts = ScriptPipeline(redis)
        self._enter = scripts.register(load("enter_host"))
        self._leave = scripts.register(load("leave_host"))
        self._tick = scripts.register(load("tick_hosts"))
        self._claim = scripts.register(load("claim_slot"))
        self._withdraw = scripts.register(load("withdraw_ticket"))

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
        arguments = [*self._arguments(slot), "waiting", parked, token or ""]
        entered = await self._enter(args=arguments)
        return slot if entered else None

    async def acquire_or_get_ticket(self, host: str) -> tuple[Slot, bool]:
        """Take a slot or a ticket for one; return it, and whether the slot is held already."""
        slot = Slot(host, secrets.token_hex(8))
        arguments = [*self._arguments(slot), "tickets", slot.holder, ""]
        entered = await self._enter(args=arguments)
        return slot, bool(entered)

    async def claim(self, slot: Slot) -> bool:
        """Return whether a ticket's turn has come; if so, the slot is held from now on."""
        return bool(await self._claim(args=self._arguments(slot)))

    async def withdraw(self, slot: Slot) -> None:
        """Give a ticket back, and its slot if its turn has come."""
        await self._withdraw(args=self._arguments(slot))

    async def leave(self, slot: Slot) -> None:
        """Free a slot and hand it to the first in line."""
        await self._leave(args=self._arguments(slot))

    async def tick(self) -> None:
        """Hand out the slots that are due; every parser does it each second."""
        broken = await self._tick(args=[*self._arguments(Slot("", "")), MAX_HOSTS_PER_CALL])
        if broken:
            names = [host.decode(errors="replace") for host in broken[:10]]
            log.error("keys of hosts have another type: delete them", hosts=names)

    def _arguments(self, slot: Slot) -> Sequence[str | int]:
        return (self._prefix, slot.host, slot.holder, *self._limits)
