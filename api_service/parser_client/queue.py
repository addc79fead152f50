"""The parser's asynchronous entrance: its list, its keys, and our own list of replies.

Announced results are taken like this: the announcements move to a list of the taker, the
results are persisted, and then announcements and results are deleted together. A taker that
dies in between leaves its list behind, with a lease on it that ends; then the sweep moves
the announcements back.
"""

import os
import re
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import redis.asyncio as aioredis
import structlog
from pydantic import ValidationError
from redis.backoff import NoBackoff

from api_service.config import Settings
from api_service.parser_client.messages import Announcement, Job, Result, read_result
from api_service.process.redis_connection import use_uvloop_safe_connections

SEEN_SECONDS = 10
"""A parser or worker that was seen this long ago counts as there."""
TAKER_LEASE_SECONDS = 30
CHUNK = 1000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class QueueDepths:
    """How much waits where.

    Attributes:
        jobs: on the parsers' list.
        ready: handed a slot of their host, not taken yet.
        waiting: for their host.
        held: in parsers' hands.
        results: announced, not taken over yet.
        result_bytes: the size of those.
    """

    jobs: int
    ready: int
    waiting: int
    held: int
    results: int
    result_bytes: int


class ParserQueue:
    """One deployment's lists and keys.

    Args:
        name: this process's, for what it takes.
    """

    def __init__(
        self, redis: aioredis.Redis, *, name: str, task_queue: str, result_prefix: str
    ) -> None:
        self._redis = redis
        self._name = name
        self._task_queue = task_queue
        self._result_prefix = result_prefix
        self.reply_list = f"{task_queue}:done"
        self._reply_bytes = f"{self.reply_list}:bytes"
        self._taken = f"{task_queue}:taken:{name}"
        self._takers = f"{task_queue}:takers"
        self._leases = f"{task_queue}:leases"
        self._take_script = redis.register_script(_TAKE)
        self._release_script = redis.register_script(_RELEASE)
        self._reclaim_script = redis.register_script(_RECLAIM)
        self._announce_script = redis.register_script(_ANNOUNCE)
        self._expired_script = redis.register_script(_EXPIRED)
        self._seen_script = redis.register_script(_SEEN)
        self._depths_script = redis.register_script(_DEPTHS)
        self._count_seen_script = redis.register_script(_COUNT_SEEN)

    # Jobs out

    async def push(self, jobs: Sequence[Job]) -> None:
        """Append jobs to the list, in this order."""
        for start in range(0, len(jobs), CHUNK):
            chunk = jobs[start : start + CHUNK]
            messages = [job.model_dump_json(exclude_none=True) for job in chunk]
            await self._redis.rpush(self._task_queue, *messages)

    # Results in

    async def wait_for_announcement(self, seconds: float) -> None:
        """Wait until something has been announced, and take the first of it."""
        await self._redis.execute_command(
            "BLMOVE", self.reply_list, self._taken, "LEFT", "RIGHT", seconds
        )

    async def take(self, *, most: int, most_bytes: int) -> list[Announcement]:
        """What has been announced, up to a number and a size, with what was taken before.

        It stays this process's until it is released.
        """
        keys = [self.reply_list, self._taken, self._takers]
        args: list[str | int] = [self._name, TAKER_LEASE_SECONDS * 1000, most, most_bytes]
        announcements = []
        for raw in await self._take_script(keys=keys, args=args):
            try:
                announcements.append(Announcement.model_validate_json(raw))
            except ValidationError:
                log.error("announcement set aside", size=len(raw))
                announcements.append(Announcement(id=0, token=""))
        return announcements

    async def release(
        self, announcements: Sequence[Announcement], persisted: Sequence[int]
    ) -> None:
        """Let go of what was taken, and delete the results that have been persisted."""
        keys = [self._taken, self._reply_bytes, *(self._key(i) for i in persisted)]
        size = sum(announcement.bytes for announcement in announcements)
        await self._release_script(keys=keys, args=[len(announcements), size])

    async def forget(self, request_ids: Sequence[int]) -> None:
        """Delete results that nobody announced."""
        if request_ids:
            await self._redis.unlink(*(self._key(i) for i in request_ids))

    async def results(self, request_ids: Sequence[int]) -> dict[int, Result]:
        """The stored results among those of the named requests."""
        if not request_ids:
            return {}
        values = await self._redis.mget([self._key(i) for i in request_ids])
        pairs = zip(request_ids, values, strict=True)
        return {i: read_result(value) for i, value in pairs if isinstance(value, bytes)}

    async def sizes(self, request_ids: Sequence[int]) -> dict[int, int]:
        """Which of the named requests have a result stored, and how many bytes it has."""
        if not request_ids:
            return {}
        found = {}
        for start in range(0, len(request_ids), CHUNK):
            some = request_ids[start : start + CHUNK]
            async with self._redis.pipeline(transaction=False) as pipe:
                for request_id in some:
                    pipe.strlen(self._key(request_id))
                sizes = await pipe.execute()
            found.update({i: size for i, size in zip(some, sizes, strict=True) if size})
        return found

    async def foreign_result_sizes(self, request_ids: Sequence[int]) -> dict[int, int]:
        """The same of results in plain JSON. What has its HTML apart is ours, and announced."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for request_id in request_ids:
                pipe.strlen(self._key(request_id))
                pipe.getrange(self._key(request_id), 0, 0)
            answers = await pipe.execute()
        found = zip(request_ids, answers[::2], answers[1::2], strict=True)
        return {i: size for i, size, first in found if size and not first.isdigit()}

    async def has_token(self, request_id: int, token: str) -> bool:
        """Whether the stored result of a request is of this attempt."""
        result = (await self.results([request_id])).get(request_id)
        return result is not None and result.token == token

    # What the sweep asks

    async def expired_tokens(self, *, after_ms: int, most: int) -> list[str]:
        """Tokens of jobs whose parser has not renewed its lease for long enough.

        A lease that has ended is noted first, and counts only when it is still not renewed
        `after_ms` later: a Redis that was silent for a while has ended all leases at once.
        """
        keys = [self._leases, f"{self._leases}:ended"]
        found = await self._expired_script(keys=keys, args=[after_ms, most])
        return [token.decode() for token in found]

    async def drop_leases(self, tokens: Sequence[str]) -> None:
        """Forget leases that have been dealt with."""
        if tokens:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zrem(self._leases, *tokens)
                pipe.zrem(f"{self._leases}:ended", *tokens)
                await pipe.execute()

    async def standing(self) -> AsyncIterator[int]:
        """The ids of all requests that a message, a parser or an announcement stands for.

        Each kind is read after those from which a job may come, so that a job on the move
        is seen at least once: the list, from its tail so that pops skip nothing, then what
        waits for hosts, what is ready, what is in parsers' hands, and what is announced.
        """
        async for raw in self._backwards(self._task_queue):
            yield _id_in(raw)
        for host in await self._members(f"{self._task_queue}:hosts"):
            async for raw in self._backwards(f"{self._task_queue}:host:{host}:waiting"):
                yield _id_in(raw)
        async for raw in self._backwards(f"{self._task_queue}:ready"):
            yield _id_in(raw)
        for token in await self._members(self._leases):
            yield _id_in_token(token)
        takers = await self._members(self._takers)
        lists = [f"{self._task_queue}:taken:{taker}" for taker in takers]
        for name in (*lists, self.reply_list):
            async for raw in self._backwards(name):
                yield _id_in(raw)

    async def announce(self, announcements: Sequence[Announcement]) -> None:
        """Announce results of ours that are stored but stand on no list."""
        if announcements:
            messages = [announcement.model_dump_json() for announcement in announcements]
            size = sum(announcement.bytes for announcement in announcements)
            keys = [self.reply_list, self._reply_bytes]
            await self._announce_script(keys=keys, args=[size, *messages])

    async def reclaim(self) -> int:
        """Move what dead takers had taken back to the list; returns how much it was."""
        prefix = f"{self._task_queue}:taken:"
        return int(await self._reclaim_script(keys=[self.reply_list, self._takers], args=[prefix]))

    async def try_claim_chore(self, what: str, seconds: float) -> bool:
        """Whether something has not been done for so long, by anybody; then it is ours to do."""
        key = f"{self._task_queue}:turn:{what}"
        return bool(await self._redis.set(key, self._name, nx=True, px=int(seconds * 1000)))

    # What others want to know

    async def depths(self) -> QueueDepths:
        """How much waits where."""
        keys = [self._task_queue, self._leases, self.reply_list, self._reply_bytes]
        return QueueDepths(*map(int, await self._depths_script(keys=keys)))

    async def record_heartbeat(self) -> None:
        """Note that this worker has just done work."""
        await self._seen_script(keys=[f"{self._task_queue}:workers"], args=[self._name])

    async def counts_seen(self) -> tuple[int, int]:
        """How many parsers and how many workers were seen in the last seconds."""
        keys = [f"{self._task_queue}:parsers", f"{self._task_queue}:workers"]
        parsers, workers = await self._count_seen_script(keys=keys, args=[SEEN_SECONDS])
        return parsers, workers

    async def _members(self, name: str) -> list[str]:
        """The members of a sorted set."""
        found = await self._redis.zrange(name, 0, -1)
        return [member.decode() for member in found if isinstance(member, bytes)]

    async def _backwards(self, name: str) -> AsyncIterator[bytes]:
        end = -1
        while True:
            chunk = await self._redis.lrange(name, end - CHUNK + 1, end)
            for raw in chunk:
                if isinstance(raw, bytes):
                    yield raw
            if len(chunk) < CHUNK:
                return
            end -= CHUNK

    def _key(self, request_id: int) -> str:
        return f"{self._result_prefix}{request_id}"


def open_redis(url: str, *, timeout: float) -> aioredis.Redis:
    """A Redis client that tries once and gives up after `timeout` seconds: its users retry."""
    redis = aioredis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 3),
        retry=aioredis.retry.Retry(NoBackoff(), 0),
    )
    return use_uvloop_safe_connections(redis)


def open_queue(redis: aioredis.Redis, settings: Settings) -> ParserQueue:
    """The deployment's lists, under a name of this process."""
    return ParserQueue(
        redis,
        name=f"{socket.gethostname()}:{os.getpid()}",
        task_queue=settings.task_queue,
        result_prefix=settings.result_prefix,
    )


# In a message of ours, or quoted within one that waits: {"id":42,… A longer number is no row's:
# other producers number their jobs as they like.
_ID = re.compile(rb'\\?"id\\?":\s*(\d{1,18})(?!\d)')
_ID_IN_TOKEN = re.compile(r"([0-9]{1,18})-")
_NOBODY = 0


def _id_in(raw: bytes) -> int:
    found = _ID.search(raw)
    return int(found[1]) if found else _NOBODY


def _id_in_token(token: str) -> int:
    found = _ID_IN_TOKEN.match(token)
    return int(found[1]) if found else _NOBODY


# What moves and frees works also where Redis has no memory left. Redis's own time counts.
_NOW = """#!lua flags=allow-oom
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_TAKE = (
    _NOW
    + """
local list, taken, takers = KEYS[1], KEYS[2], KEYS[3]
local most, room = tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZADD', takers, now + ARGV[2], ARGV[1])
local function size_of(raw)
    local ok, message = pcall(cjson.decode, raw)
    return ok and type(message) == 'table' and tonumber(message.bytes) or 0
end
local batch = redis.call('LRANGE', taken, 0, most - 1)
for _, raw in ipairs(batch) do room = room - size_of(raw) end
while #batch < most do
    local raw = redis.call('LINDEX', list, 0)
    if not raw then break end
    room = room - size_of(raw)
    if room < 0 and #batch > 0 then break end
    redis.call('RPUSH', taken, raw)
    redis.call('LPOP', list)
    batch[#batch + 1] = raw
end
return batch
"""
)

_RELEASE = """#!lua flags=allow-oom
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.call('LTRIM', KEYS[1], ARGV[1], -1)
if redis.call('DECRBY', KEYS[2], ARGV[2]) <= 0 then redis.call('DEL', KEYS[2]) end
"""

_ANNOUNCE = """#!lua flags=allow-oom
for i = 2, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('INCRBY', KEYS[2], ARGV[1])
"""

_RECLAIM = (
    _NOW
    + """
local moved = 0
for _, taker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
    local taken = ARGV[1] .. taker
    while redis.call('LMOVE', taken, KEYS[1], 'RIGHT', 'LEFT') do moved = moved + 1 end
    redis.call('ZREM', KEYS[2], taker)
end
return moved
"""
)

_EXPIRED = (
    _NOW
    + """
local leases, ended = KEYS[1], KEYS[2]
for _, token in ipairs(redis.call('ZRANGEBYSCORE', ended, '-inf', '+inf')) do
    local until_ms = redis.call('ZSCORE', leases, token)
    if not until_ms or tonumber(until_ms) > now then redis.call('ZREM', ended, token) end
end
for _, token in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[2])) do
    redis.call('ZADD', ended, 'NX', now, token)
end
return redis.call('ZRANGEBYSCORE', ended, '-inf', now - ARGV[1], 'LIMIT', 0, ARGV[2])
"""
)

_SEEN = (
    _NOW
    + """
local seconds = math.floor(now / 1000)
redis.call('ZADD', KEYS[1], seconds, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', seconds - 60)
"""
)

# Counted there: hosts with somebody waiting may be many thousands.
_DEPTHS = """#!lua flags=no-writes
local list, leases, replies, reply_bytes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local waiting = 0
for _, host in ipairs(redis.call('ZRANGE', list .. ':hosts', 0, -1)) do
    waiting = waiting + redis.call('LLEN', list .. ':host:' .. host .. ':waiting')
end
return {
    redis.call('LLEN', list), redis.call('LLEN', list .. ':ready'), waiting,
    redis.call('ZCARD', leases), redis.call('LLEN', replies),
    redis.call('GET', reply_bytes) or 0,
}
"""

_COUNT_SEEN = """
local since = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[1])
local counts = {}
for i, key in ipairs(KEYS) do counts[i] = redis.call('ZCOUNT', key, since, '+inf') end
return counts
"""
