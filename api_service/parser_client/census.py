"""Count and list what is in Redis: jobs, results, and the processes that are alive."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import redis.asyncio as aioredis
import structlog
from redis.exceptions import ResponseError

from api_service.parser_client.keys import Keys
from api_service.parser_client.redis_members import decode_redis_member, encode_redis_member
from api_service.parser_client.scripts import read_script
from api_service.parser_client.token import request_id_of
from api_service.parser_client.wrong_type import is_wrong_type_error

ALIVE_WITHIN_SECONDS = 10
"""A parser or worker is alive if its last heartbeat is not older."""
FORGET_WORKER_SECONDS = 60
"""A worker's heartbeat is deleted after this time."""
ITEMS_PER_READ = 1000

WRONG_TYPE_LOG_EVENT = "key of another type: delete it"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class QueueDepths:
    """Count jobs and results by where they are.

    Attributes:
        jobs: on the parsers' list.
        ready: have a slot of their host and are not taken yet.
        waiting: for their host.
        held: leased by parsers.
        results: announced and not taken yet.
        result_bytes: the size of the results that wait to be persisted.
    """

    jobs: int
    ready: int
    waiting: int
    held: int
    results: int
    result_bytes: int


class RedisCensus:
    """List the requests that are in Redis, count what waits, and count live processes.

    Args:
        name: this process's, for its heartbeat.
    """

    def __init__(self, redis: aioredis.Redis, keys: Keys, *, name: str) -> None:
        self._redis = redis
        self._keys = keys
        self._name = name
        self._heartbeat_script = redis.register_script(read_script("heartbeat"))
        self._depths_script = redis.register_script(read_script("depths"))
        self._count_alive_script = redis.register_script(read_script("count_alive"))

    async def request_ids_in_redis(self) -> AsyncIterator[int]:
        """List the ids of all requests that a job, a lease or an announcement represents.

        An id may come twice; 0 stands for a foreign job.

        Each place is read after those from which a job may move to it, so that a moving job
        is seen at least once: the list, from its tail so that pops skip nothing, then what
        waits for hosts, what is ready, what parsers hold, and what is announced.
        """
        async for raw in self._items_from_the_end(self._keys.task_queue):
            yield _id_or_placeholder(raw)
        for host in await self._members(self._keys.hosts_with_waiters):
            async for raw in self._items_from_the_end(self._keys.host_waiting_jobs(host)):
                yield _id_or_placeholder(raw)
        async for raw in self._items_from_the_end(self._keys.ready_jobs):
            yield _id_or_placeholder(raw)
        for token in await self._members(self._keys.leases):
            yield request_id_of(token) or _PLACEHOLDER_FOR_FOREIGN_ID
        takers = await self._members(self._keys.announcement_takers)
        lists = [self._keys.taken_announcements(taker) for taker in takers]
        for name in (*lists, self._keys.reply_list):
            async for raw in self._items_from_the_end(name):
                yield _id_or_placeholder(raw)

    async def read_depths(self) -> QueueDepths:
        """Count what waits where."""
        keys = self._keys
        counts = await self._depths_script(
            keys=[
                keys.task_queue,
                keys.ready_jobs,
                keys.hosts_with_waiters,
                keys.leases,
                keys.reply_list,
                keys.reply_bytes,
            ],
            args=[keys.host_prefix, keys.waiting_suffix],
        )
        return QueueDepths(*map(int, counts))

    async def record_heartbeat(self) -> None:
        """Record that this worker has just done work."""
        args: list[str | int] = [self._name, FORGET_WORKER_SECONDS]
        await self._heartbeat_script(keys=[self._keys.workers], args=args)

    async def count_alive_parsers_and_workers(self) -> tuple[int, int]:
        """Count the parsers and the workers that are alive."""
        keys = [self._keys.parsers, self._keys.workers]
        parsers, workers = await self._count_alive_script(keys=keys, args=[ALIVE_WITHIN_SECONDS])
        return parsers, workers

    async def log_keys_of_wrong_type(self) -> None:
        """Log each of our keys whose value has another type: commands on it fail."""
        expected = self._keys.types | {self._keys.taken_announcements(self._name): "list"}
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in expected:
                pipe.type(key)
            found = await pipe.execute()
        for (key, wanted), name in zip(expected.items(), found, strict=True):
            if name.decode() not in {wanted, "none"}:
                log.error(WRONG_TYPE_LOG_EVENT, key=key)

    async def _members(self, name: str) -> list[str]:
        """Return the members of a sorted set; log a key of another type, which has none."""
        try:
            found = await self._redis.zrange(name, 0, -1)
        except ResponseError as error:
            _log_wrong_type_or_raise(name, error)
            return []
        return [decode_redis_member(member) for member in found if isinstance(member, bytes)]

    async def _items_from_the_end(self, name: str) -> AsyncIterator[bytes]:
        """List a list's items chunk by chunk from its tail, so that pops at its head skip none.

        A key of another type is logged and has none.
        """
        key, end = encode_redis_member(name), -1
        while True:
            try:
                chunk = await self._redis.lrange(key, end - ITEMS_PER_READ + 1, end)
            except ResponseError as error:
                _log_wrong_type_or_raise(name, error)
                return
            for raw in chunk:
                if isinstance(raw, bytes):
                    yield raw
            if len(chunk) < ITEMS_PER_READ:
                return
            end -= ITEMS_PER_READ


def _log_wrong_type_or_raise(name: str, error: ResponseError) -> None:
    """Log that a key holds what somebody else put there: it names no request.

    Raises:
        ResponseError: it is another error.
    """
    if not is_wrong_type_error(error):
        raise error
    log.error(WRONG_TYPE_LOG_EVENT, key=name)


# A job of ours begins {"id":42,… and a job that waits for its host quotes that in a string.
# A longer number is not an id of ours: other producers number their jobs as they like.
_ID = re.compile(rb'\\?"id\\?":\s*(-?\d{1,18})(?!\d)')
_PLACEHOLDER_FOR_FOREIGN_ID = 0
"""The id in place of a foreign job's; ours begin at 1."""


def _id_or_placeholder(raw: bytes) -> int:
    found = _ID.search(raw)
    return int(found[1]) if found else _PLACEHOLDER_FOR_FOREIGN_ID
