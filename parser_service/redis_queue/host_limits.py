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

import orjson
import redis.asyncio as aioredis

from parser_service.fetching.url_guard import Target
from parser_service.redis_queue.lua_pipeline import ScriptPipeline

TICKET_SECONDS = 5
"""How long a slot is kept for a ticket whose turn has come, until it is taken."""
RECHECK_MS = 1000
HOSTS_A_TICK = 100


@dataclass(frozen=True, slots=True)
class Slot:
    """A place at a host, held until it is left or its lease ends."""

    host: str
    holder: str


@dataclass(frozen=True, slots=True)
class ReadyJob:
    """A job that waited for its host, whose turn has come, and the slot that it has got."""

    slot: Slot
    parked: bytes


class HostLimits:
    """The limits of hosts, shared through one Redis.

    Args:
        prefix: what the names of the keys begin with.
        max_concurrent: requests a host gets at a time.
        min_interval: seconds between two requests' beginnings.
        lease: seconds after which a slot that was not left is free; above a page's deadline.
    """

    def __init__(
        self,
        redis: aioredis.Redis,
        *,
        prefix: str,
        max_concurrent: int,
        min_interval: float,
        lease: float,
    ) -> None:
        self._prefix = prefix
        self._limits = (max_concurrent, int(min_interval * 1000), int(lease * 1000))
        scripts = ScriptPipeline(redis)
        self._enter = scripts.register(_COMMON + _ENTER)
        self._leave = scripts.register(_COMMON + _LEAVE)
        self._tick = scripts.register(_COMMON + _TICK)
        self._claim = scripts.register(_COMMON + _CLAIM)
        self._withdraw = scripts.register(_COMMON + _WITHDRAW)

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
        await self._tick(args=self._arguments(Slot("", "")))

    def _arguments(self, slot: Slot) -> Sequence[str | int]:
        return (self._prefix, slot.host, slot.holder, *self._limits)


def ready_list(prefix: str) -> str:
    """The list of jobs whose host has got a slot for them."""
    return f"{prefix}:ready"


def read_ready(raw: bytes) -> ReadyJob:
    """Read a message of the list of ready jobs.

    Raises:
        ValueError: it is none.
    """
    holder, host, parked = raw.split(b"\n", 2)
    return ReadyJob(Slot(host.decode(), holder.decode()), parked)


def host_of(target: Target) -> str:
    """What is counted as one host: a name, apart for each port beside 80 and 443."""
    return target.host if target.port in (80, 443) else f"{target.host}:{target.port}"


def parked_job(raw: bytes, *, url: str, redirects: Sequence[tuple[str, int]]) -> bytes:
    """A job as it waits for a host: its message, and how far it has come."""
    progress = {"job": raw.decode(), "url": url, "redirects": list(redirects)}
    return orjson.dumps(progress)


# Arguments: prefix, host, holder, most at a time, ms between two, ms of a lease.
_COMMON = """#!lua flags=allow-oom
local prefix, limit = ARGV[1], tonumber(ARGV[4])
local interval, lease = tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local hosts, ready = prefix .. ':hosts', prefix .. ':ready'

local function key(host, what)
    return prefix .. ':host:' .. host .. ':' .. what
end

-- nil if the host may be entered, else the time at which to look again
local function busy_until(host)
    local slots = key(host, 'slots')
    redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
    if redis.call('ZCARD', slots) >= limit then return now + RECHECK end
    local due = tonumber(redis.call('GET', key(host, 'next')) or 0)
    if now < due then return due end
end

local function occupy(host, holder, ms)
    local slots = key(host, 'slots')
    redis.call('ZADD', slots, now + ms, holder)
    redis.call('PEXPIRE', slots, lease * 2)
    if interval > 0 then
        redis.call('SET', key(host, 'next'), now + interval, 'PX', interval)
    end
end

local function hand_over(host)
    local tickets, waiting = key(host, 'tickets'), key(host, 'waiting')
    while redis.call('EXISTS', tickets, waiting) > 0 do
        local look_again = busy_until(host)
        if look_again then
            redis.call('ZADD', hosts, look_again, host)
            return
        end
        local ticket = redis.call('LPOP', tickets)
        if ticket then
            occupy(host, ticket, TICKET)
        else
            local holder = 'r' .. redis.call('INCR', prefix .. ':holders')
            occupy(host, holder, lease)
            local job = redis.call('LPOP', waiting)
            redis.call('RPUSH', ready, holder .. '\\n' .. host .. '\\n' .. job)
        end
    end
    redis.call('ZREM', hosts, host)
end
""".replace("RECHECK", str(RECHECK_MS)).replace("TICKET", str(TICKET_SECONDS * 1000))

_ENTER = """
local host, holder, list, item = ARGV[2], ARGV[3], ARGV[7], ARGV[8]
local look_again = busy_until(host)
if not look_again and redis.call('EXISTS', key(host, list)) == 0 then
    occupy(host, holder, lease)
    return 1
end
redis.call('RPUSH', key(host, list), item)
if ARGV[9] ~= '' then redis.call('ZREM', prefix .. ':leases', ARGV[9]) end
redis.call('ZADD', hosts, look_again or now, host)
return 0
"""

_LEAVE = """
local host, holder = ARGV[2], ARGV[3]
redis.call('ZREM', key(host, 'slots'), holder)
hand_over(host)
"""

_CLAIM = """
local host, holder = ARGV[2], ARGV[3]
return redis.call('ZADD', key(host, 'slots'), 'XX', 'CH', now + lease, holder)
"""

_WITHDRAW = """
local host, holder = ARGV[2], ARGV[3]
redis.call('LREM', key(host, 'tickets'), 1, holder)
redis.call('ZREM', key(host, 'slots'), holder)
hand_over(host)
"""

_TICK = """
for _, host in ipairs(redis.call('ZRANGEBYSCORE', hosts, '-inf', now, 'LIMIT', 0, MANY)) do
    hand_over(host)
end
""".replace("MANY", str(HOSTS_A_TICK))
