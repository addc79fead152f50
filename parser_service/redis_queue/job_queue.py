"""The listener's side of Redis: jobs out, leases on them, results in.

A job that has a token is leased while it is in this parser's hands: its token stands in a
sorted set with the time at which the lease ends, by Redis's clock, and is renewed as long as
this parser lives. So who waits for the job can tell a slow parser from a dead one. Leasing
and popping are one script; only a job that BLPOP took while the list was empty is leased by a
command of its own, before anything is done with it, and a death in that moment looks like any
other loss of a message.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio as aioredis

from parser_service.redis_queue.lua_pipeline import ScriptPipeline
from parser_service.redis_queue.messages import Announcement, JobId

LEASE_SECONDS = 15
SEEN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class TakenJob:
    """A message and the list that it was taken from."""

    list: str
    raw: bytes


class JobQueue:
    """The lists, leases and results of one deployment.

    Args:
        name: this parser's, where it shows that it lives.
        task_queue: the list of jobs; the names of the other keys begin with it.
        ready_list: jobs that waited for their host; taken before any other.
    """

    def __init__(
        self,
        redis: aioredis.Redis,
        *,
        name: str,
        task_queue: str,
        ready_list: str,
        result_prefix: str,
        result_ttl: int,
    ) -> None:
        self._redis = redis
        self._name = name
        self._lists = (ready_list, task_queue)
        self._taking = f"{task_queue}:taking:{name}:{secrets.token_hex(4)}"
        self._takes = 0
        self._takes_answered = 0
        self._leases = leases_key(task_queue)
        self._parsers = f"{task_queue}:parsers"
        self._waiting_bytes = f"{task_queue}:done:bytes"
        self._result_prefix = result_prefix
        self._result_ttl = result_ttl
        scripts = ScriptPipeline(redis)
        self._take = scripts.register(_TAKE)
        self._lease = scripts.register(_LEASE)
        self._renew = scripts.register(_RENEW)
        self._finish = scripts.register(_FINISH)
        self._hand_back = scripts.register(_HAND_BACK)
        self._show = scripts.register(_SHOW)

    async def take(self, most: int, *, only_from: str | None = None) -> list[TakenJob]:
        """Up to so many jobs that are there now, leased.

        What is taken is kept in Redis until the next call, and given again if the answer was
        lost on its way: else jobs of a parser that lives would look like those of a dead one.

        Args:
            most: how many.
            only_from: the one list to look in.
        """
        self._takes += 1
        number = self._takes
        only = 0 if only_from is None else self._lists.index(only_from) + 1
        call = [most, LEASE_SECONDS * 1000, only, number, self._takes_answered]
        found = await self._take(keys=[*self._lists, self._leases, self._taking], args=call)
        self._takes_answered = number
        return [
            TakenJob(name, raw)
            for name, items in zip(self._lists, found, strict=True)
            for raw in items
        ]

    async def wait(self, seconds: float) -> TakenJob | None:
        """The next job, to be leased at once; None if none comes in time. Never to be cancelled."""
        popped = await self._redis.blpop(list(self._lists), timeout=seconds)
        if popped is None:
            return None
        name, raw = popped
        assert isinstance(name, bytes)  # noqa: S101 - the client decodes nothing
        assert isinstance(raw, bytes)  # noqa: S101
        return TakenJob(name.decode(), raw)

    async def renew(self, tokens: Sequence[str]) -> None:
        """Show that this parser lives, and that these jobs are still in its hands.

        Only leases that are there are renewed: a job may leave these hands meanwhile, and a
        lease on one that waits elsewhere would end like that of a dead parser.
        """
        await self._show(keys=[self._parsers], args=[self._name, SEEN_SECONDS])
        if tokens:
            await self._renew(keys=[self._leases], args=[LEASE_SECONDS * 1000, *tokens])

    async def lease(self, tokens: Sequence[str]) -> None:
        """Show that these jobs are in this parser's hands."""
        if tokens:
            await self._lease(keys=[self._leases], args=[LEASE_SECONDS * 1000, *tokens])

    async def finish(
        self, job_id: JobId, result: bytes, *, token: str | None, reply: str | None
    ) -> None:
        """Store a result, announce it where that was asked for, and end the lease: all at once."""
        announcement = ""
        if token is not None and reply is not None:
            announcement = Announcement(id=job_id, token=token, bytes=len(result)).model_dump_json()
        await self._finish(
            keys=[f"{self._result_prefix}{job_id}", self._leases, reply or "", f"{reply}:bytes"],
            args=[result, self._result_ttl, token or "", announcement],
        )

    async def hand_back(self, taken: TakenJob, *, token: str | None) -> None:
        """Put a job back to the head of its list."""
        await self._hand_back(keys=[taken.list, self._leases], args=[taken.raw, token or ""])

    async def unpersisted_result_bytes(self) -> int:
        """Bytes of results that were announced and have not been taken over yet."""
        return int(await self._redis.get(self._waiting_bytes) or 0)


def leases_key(task_queue: str) -> str:
    """The sorted set of leases."""
    return f"{task_queue}:leases"


# Leases and lists take little memory and free much: they work also where Redis has none left.
_NOW = """#!lua flags=allow-oom
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# Leased first and popped then: a script that fails in between has lost nothing.
_TAKE = (
    _NOW
    + """
local function token_of(list, raw)
    if list == 1 then
        local waited = string.match(raw, '^[^\\n]*\\n[^\\n]*\\n(.*)$')
        local ok, progress = pcall(cjson.decode, waited or '')
        raw = ok and type(progress) == 'table' and progress.job or ''
    end
    local ok, job = pcall(cjson.decode, raw)
    local token = ok and type(job) == 'table' and job.token
    return type(token) == 'string' and token
end
local function lease(found)
    for list = 1, 2 do
        for _, raw in ipairs(found[list]) do
            local token = token_of(list, raw)
            if token then redis.call('ZADD', KEYS[3], now + ARGV[2], token) end
        end
    end
end

-- What an earlier call took, or one that came before this one although it was made later:
-- its number, how many of it are from the first list, and all of it.
local taking, most, only = KEYS[4], tonumber(ARGV[1]), tonumber(ARGV[3])
local kept = redis.call('LRANGE', taking, 0, -1)
local found = {{}, {}}
if kept[1] and tonumber(kept[1]) > tonumber(ARGV[5]) then
    for i = 3, #kept do
        local list = i - 2 <= tonumber(kept[2]) and 1 or 2
        table.insert(found[list], kept[i])
    end
    redis.call('LSET', taking, 0, ARGV[4])
    lease(found)
    return found
end
redis.call('DEL', taking)
for list = 1, 2 do
    if most > 0 and (only == 0 or only == list) then
        found[list] = redis.call('LRANGE', KEYS[list], 0, most - 1)
        most = most - #found[list]
    end
end
lease(found)
if #found[1] + #found[2] == 0 then return found end
redis.call('RPUSH', taking, ARGV[4], #found[1])
redis.call('EXPIRE', taking, 60)
for list = 1, 2 do
    for _, raw in ipairs(found[list]) do redis.call('RPUSH', taking, raw) end
    if #found[list] > 0 then redis.call('LPOP', KEYS[list], #found[list]) end
end
return found
"""
)

_LEASE = (
    _NOW
    + """
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
"""
)

_RENEW = _LEASE.replace("'ZADD', KEYS[1],", "'ZADD', KEYS[1], 'XX',")

# Not where there is no memory: the result stays here until there is.
_FINISH = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
if ARGV[4] ~= '' then
    redis.call('RPUSH', KEYS[3], ARGV[4])
    redis.call('INCRBY', KEYS[4], string.len(ARGV[1]))
end
if ARGV[3] ~= '' then redis.call('ZREM', KEYS[2], ARGV[3]) end
"""

_HAND_BACK = (
    _NOW
    + """
redis.call('LPUSH', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then redis.call('ZREM', KEYS[2], ARGV[2]) end
"""
)

_SHOW = (
    _NOW
    + """
local seconds = math.floor(now / 1000)
redis.call('ZADD', KEYS[1], seconds, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', seconds - ARGV[2])
"""
)
