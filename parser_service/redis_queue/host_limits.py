"""How many requests a host gets at a time and how closely they follow, over all parsers.

The count is kept in Redis, in scripts that run there undivided, on Redis's own clock:

- A host's slots are leases: a parser that dies gives its slots back by itself.
- A job that finds no slot waits in a list of its host and occupies no place in a parser. The
  script that frees a slot hands it to the next in that list and moves the job to the list of
  ready jobs, which parsers take before any other.
- A request of `GET /fetch` waits as a ticket in a list of its own, which comes before the
  jobs', because a client waits for it. Its turn is seen by its slot being there.

Hosts with somebody waiting are in a set, by the time at which they are looked at again: so
minimum intervals pass, and slots that expired are handed on.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio as aioredis

from parser_service.redis_queue.keys import Keys
from parser_service.redis_queue.lua_pipeline import ScriptPipeline
from parser_service.redis_queue.scripts import load

TICKET_SECONDS = 5
"""How long a slot is kept for a ticket whose turn has come, until it is taken."""
RECHECK_SECONDS = 1
HOSTS_A_TICK = 100


@dataclass(frozen=True, slots=True)
class Slot:
    """A place at a host, held until it is left or its lease ends."""

    host: str
    holder: str


class HostLimits:
    """The limits of hosts, shared through one Redis.

    Args:
        max_concurrent: requests a host gets at a time.
        min_interval: seconds between two requests' beginnings.
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
        seconds = (min_interval, lease, RECHECK_SECONDS, TICKET_SECONDS)
        self._limits = (max_concurrent, *(int(one * 1000) for one in seconds))
        scripts = ScriptPipeline(redis)
        self._enter = scripts.register(load("enter_host"))
        self._leave = scripts.register(load("leave_host"))
        self._tick = scripts.register(load("tick_hosts"))
        self._claim = scripts.register(load("claim_slot"))
        self._withdraw = scripts.register(load("withdraw_ticket"))

    async def enter_or_park(
        self, host: str, parked: bytes, *, token: str | None = None
    ) -> Slot | None:
        """Take a slot, or have the job wait; None then, and the job is no longer ours.

        Its lease, by its token, ends in the same moment.
        """
        slot = Slot(host, secrets.token_hex(8))
        arguments = [*self._arguments(slot), "waiting", parked, token or ""]
        entered = await self._enter(args=arguments)
        return slot if entered else None

    async def enter_or_queue(self, host: str) -> tuple[Slot, bool]:
        """Take a slot, or a ticket for one; the slot, and whether it is ours already."""
        slot = Slot(host, secrets.token_hex(8))
        arguments = [*self._arguments(slot), "tickets", slot.holder, ""]
        entered = await self._enter(args=arguments)
        return slot, bool(entered)

    async def claim(self, slot: Slot) -> bool:
        """Whether a ticket's turn has come; from then on the slot is held."""
        return bool(await self._claim(args=self._arguments(slot)))

    async def withdraw(self, slot: Slot) -> None:
        """Give a ticket back, whether its turn has come or not."""
        await self._withdraw(args=self._arguments(slot))

    async def leave(self, slot: Slot) -> None:
        """Free a slot and hand it to who waits longest."""
        await self._leave(args=self._arguments(slot))

    async def tick(self) -> None:
        """Hand on what fell due since; every parser does it, again and again."""
        await self._tick(args=[*self._arguments(Slot("", "")), HOSTS_A_TICK])

    def _arguments(self, slot: Slot) -> Sequence[str | int]:
        return (self._prefix, slot.host, slot.holder, *self._limits)
