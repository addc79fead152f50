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

from parser_service.redis_queue.keys import Keys, reply_bytes
from parser_service.redis_queue.lua_pipeline import ScriptPipeline
from parser_service.redis_queue.messages import Announcement, JobId
from parser_service.redis_queue.reply_lists import ReplyLists
from parser_service.redis_queue.scripts import load

LEASE_SECONDS = 15
FORGET_AFTER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class TakenJob:
    """A message and the list that it was taken from.

    Attributes:
        is_ready: whether that is the list of jobs which waited for their host.
    """

    list: str
    raw: bytes
    is_ready: bool


class JobQueue:
    """The lists, leases and results of one deployment.

    Args:
        name: this parser's, where it shows that it lives.
        keys: the names of the lists, of leases and of results.
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
        self._lists = (keys.ready, keys.task_queue)
        self._taking = keys.taking(f"{name}:{secrets.token_hex(4)}")
        self._takes = 0
        self._takes_answered = 0
        self._reply_lists = ReplyLists(redis, api_reply_list=keys.api_reply_list)
        self._result_ttl = result_ttl
        scripts = ScriptPipeline(redis)
        self._take = scripts.register(load("take_jobs"))
        self._lease = scripts.register(load("lease_jobs"))
        self._renew = scripts.register(load("renew_leases"))
        self._finish = scripts.register(load("finish_job"))
        self._hand_back = scripts.register(load("hand_back_job"))
        self._heartbeat = scripts.register(load("heartbeat"))

    async def take(self, limit: int, *, only_from: str | None = None) -> list[TakenJob]:
        """Up to so many jobs that are there now, leased.

        What is taken is kept in Redis until the next call, and given again if the answer was
        lost on its way: else jobs of a parser that lives would look like those of a dead one.

        Args:
            limit: how many.
            only_from: the one list to look in.
        """
        self._takes += 1
        number = self._takes
        only = 0 if only_from is None else self._lists.index(only_from) + 1
        call = [limit, LEASE_SECONDS * 1000, only, number, self._takes_answered]
        found = await self._take(keys=[*self._lists, self._keys.leases, self._taking], args=call)
        self._takes_answered = number
        return [
            self._taken(name, raw)
            for name, items in zip(self._lists, found, strict=True)
            for raw in items
        ]

    async def wait_for_job(self, seconds: float) -> TakenJob | None:
        """The next job, to be leased at once; None if none comes in time. Never to be cancelled."""
        popped = await self._redis.blpop(list(self._lists), timeout=seconds)
        if popped is None:
            return None
        name, raw = popped
        assert isinstance(name, bytes)  # noqa: S101 - the client decodes nothing
        assert isinstance(raw, bytes)  # noqa: S101
        return self._taken(name.decode(), raw)

    def _taken(self, name: str, raw: bytes) -> TakenJob:
        return TakenJob(name, raw, is_ready=name == self._keys.ready)

    async def record_heartbeat(self) -> None:
        """Show that this parser lives."""
        await self._heartbeat(keys=[self._keys.parsers], args=[self._name, FORGET_AFTER_SECONDS])

    async def renew(self, tokens: Sequence[str]) -> None:
        """Show that these jobs are still in this parser's hands.

        Only leases that are there are renewed: a job may leave these hands meanwhile, and a
        lease on one that waits elsewhere would end like that of a dead parser.
        """
        if tokens:
            await self._renew(keys=[self._keys.leases], args=[LEASE_SECONDS * 1000, *tokens])

    async def lease(self, tokens: Sequence[str]) -> None:
        """Show that these jobs are in this parser's hands."""
        if tokens:
            await self._lease(keys=[self._keys.leases], args=[LEASE_SECONDS * 1000, *tokens])

    async def finish(
        self, job_id: JobId, result: bytes, *, token: str | None, reply: str | None
    ) -> None:
        """Store a result, announce it where that was asked for, and end the lease: all at once."""
        announcement = ""
        if token is not None and reply is not None:
            announcement = Announcement(id=job_id, token=token, bytes=len(result)).model_dump_json()
        await self._finish(
            keys=[
                self._keys.result(job_id),
                self._keys.leases,
                reply or "",
                "" if reply is None else reply_bytes(reply),
            ],
            args=[result, self._result_ttl, token or "", announcement],
        )
        if reply is not None and announcement:
            self._reply_lists.remember(reply)

    async def hand_back(self, taken: TakenJob, *, token: str | None) -> None:
        """Put a job back to the head of its list."""
        await self._hand_back(keys=[taken.list, self._keys.leases], args=[taken.raw, token or ""])

    async def unpersisted_result_bytes(self) -> int:
        """Bytes of results that were announced and have not been taken over yet."""
        return await self._reply_lists.unpersisted_bytes()
