"""Take jobs from Redis, lease them, and store their results.

A job that has a token is leased while this parser holds it: a sorted set holds its token, scored
by the end of the lease on Redis's clock. The parser renews the lease as long as it lives, so that
the API can tell a slow parser from a dead one. One script leases and pops. Only a job that BLPOP
took from an empty list is leased by a script of its own, before anything else is done with it; if
the parser dies in between, the API handles that like any other lost message.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio as aioredis
import structlog

from parser_service.redis_queue.keys import Keys, unpersisted_bytes_key
from parser_service.redis_queue.lua_pipeline import ScriptPipeline
from parser_service.redis_queue.messages import JobId, ResultAnnouncement
from parser_service.redis_queue.reply_lists import ReplyLists
from parser_service.redis_queue.scripts import read_script

LEASE_SECONDS = 15
"""Seconds after which a lease ends unless it is renewed, as it is each second."""
FORGET_PARSER_SECONDS = 60
"""Seconds after which a parser that is not seen leaves the set of parsers."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """Hold a message as it lay in its list, and that list; it may still not be a job.

    Attributes:
        is_ready: whether that is the list of ready jobs, which waited for their host.
    """

    list: str
    raw: bytes
    is_ready: bool


class JobQueue:
    """Work on the lists, leases and results of one deployment.

    All methods raise RedisError or OSError if Redis is unreachable or refuses.

    Args:
        name: this parser's, under which it records its heartbeat.
        keys: the names of keys.
        result_ttl: seconds that a result waits under its key.
    """

    def __init__(
        self,
        redis: aioredis.Redis,
        *,
        name: str,
        keys: Keys,
        result_ttl: int,
    ) -> None:
        self._redis = redis
        self._name = name
        self._keys = keys
        self._lists = (keys.ready_jobs, keys.task_queue)
        self._taking = keys.last_taken_messages(f"{name}:{secrets.token_hex(4)}")
        self._takes = 0
        self._takes_answered = 0
        self._reply_lists = ReplyLists(redis, keys)
        self._result_ttl = result_ttl
        scripts = ScriptPipeline(redis)
        self._take = scripts.register(read_script("take_jobs"))
        self._lease = scripts.register(read_script("lease_jobs"))
        self._renew = scripts.register(read_script("renew_leases"))
        self._finish = scripts.register(read_script("finish_job"))
        self._hand_back = scripts.register(read_script("hand_back_job"))
        self._heartbeat = scripts.register(read_script("heartbeat"))

    async def take(self, limit: int, *, only_from: str | None = None) -> list[TakenMessage]:
        """Take up to `limit` jobs that are there now, and lease them.

        Redis keeps what was taken until the next call, which returns it again if the reply was
        lost; otherwise a live parser's jobs would look abandoned.

        Args:
            limit: the most jobs to take.
            only_from: the one list to look in.
        """
        self._takes += 1
        number = self._takes
        only = 0 if only_from is None else self._lists.index(only_from) + 1
        call = [limit, LEASE_SECONDS * 1000, only, number, self._takes_answered]
        found = await self._take(keys=[*self._lists, self._keys.leases, self._taking], args=call)
        self._takes_answered = number
        return [
            self._to_taken_message(name, raw)
            for name, items in zip(self._lists, found, strict=True)
            for raw in items
        ]

    async def wait_and_take_unleased(self, seconds: float) -> TakenMessage | None:
        """Wait for the next job and return it without a lease; return None if the time is over.

        Lease it at once. Never cancel this: the job that BLPOP has just popped would be lost.
        """
        popped = await self._redis.blpop(list(self._lists), timeout=seconds)
        if popped is None:
            return None
        name, raw = popped
        assert isinstance(name, bytes)  # noqa: S101 - the client does not decode
        assert isinstance(raw, bytes)  # noqa: S101
        return self._to_taken_message(name.decode(), raw)

    async def has_jobs(self) -> bool:
        """Return whether jobs wait in the lists."""
        return bool(await self._redis.exists(*self._lists))

    def _to_taken_message(self, name: str, raw: bytes) -> TakenMessage:
        return TakenMessage(name, raw, is_ready=name == self._keys.ready_jobs)

    async def record_heartbeat(self) -> None:
        """Record that this parser lives; forget those not seen for `FORGET_PARSER_SECONDS`."""
        await self._heartbeat(keys=[self._keys.parsers], args=[self._name, FORGET_PARSER_SECONDS])

    async def renew_leases(self, tokens: Sequence[str]) -> None:
        """Renew the leases of jobs that this parser still holds.

        This makes no lease: a job may be handed back or parked meanwhile, and a lease on it
        would end like that of a dead parser.
        """
        if tokens:
            await self._renew(keys=[self._keys.leases], args=[LEASE_SECONDS * 1000, *tokens])

    async def lease_jobs(self, tokens: Sequence[str]) -> None:
        """Lease jobs that `wait_and_take_unleased` returned."""
        if tokens:
            await self._lease(keys=[self._keys.leases], args=[LEASE_SECONDS * 1000, *tokens])

    async def finish(
        self, job_id: JobId, result: bytes, *, token: str | None, reply: str | None
    ) -> None:
        """Store a result, announce it if its job has a token and a reply list, and end the lease.

        One script does all of it, so that no state in between can be seen.
        """
        announcement = ""
        if token is not None and reply is not None:
            announcement = ResultAnnouncement(
                id=job_id, token=token, bytes=len(result)
            ).model_dump_json()
        refusal = await self._finish(
            keys=[
                self._keys.result(job_id),
                self._keys.leases,
                reply or "",
                "" if reply is None else unpersisted_bytes_key(reply),
            ],
            args=[result, self._result_ttl, token or "", announcement],
        )
        if refusal:
            log.error("result not announced", reply=reply, error=refusal.decode()[:200])
        elif reply is not None and announcement:
            self._reply_lists.remember(reply)

    async def hand_back(self, taken: TakenMessage, *, token: str | None) -> None:
        """Put a job back to the head of its list and end its lease."""
        await self._hand_back(keys=[taken.list, self._keys.leases], args=[taken.raw, token or ""])

    async def unpersisted_result_bytes(self) -> int:
        """Return the bytes of results that were announced and are not persisted yet."""
        return await self._reply_lists.unpersisted_bytes()
