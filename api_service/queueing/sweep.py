"""Repairs what crashes, silences and losses have left behind. Beat sends it every second.

The row is the truth. What Redis should hold for it can be missing for many reasons; the sweep
finds what nothing stands for, and pushes it again. Under a lock, so that only one runs:

1. Push the requests whose next attempt is due.
2. Push requests that have been `pending` for a while: their message was lost or is late. A
   late one finds them `processing` and does nothing.
3. Deal with jobs whose parser has died, which ended leases prove: an attempt is counted, and
   the last that is left runs alone, and after it the request fails.
4. Give back the announcements that a dead taker had taken.
5. Every few seconds, look for lost requests: read everything in Redis that stands for one,
   then the rows that say they have been pushed. What is missing and has a result is
   announced. What is missing otherwise is a suspect, and if it is missing `lost_after`
   seconds later still, it is pushed again. That is no attempt: nobody has tried.

Waiting long proves nothing, nor does order in the list. Nothing is pushed twice because it
waited, and ended requests cost nothing.
"""

from dataclasses import dataclass
from time import perf_counter

import structlog

from api_service.database import Database
from api_service.endings.service import JobService
from api_service.metrics import worker as metrics
from api_service.parser_client.messages import Announcement
from api_service.parser_client.queue import ParserQueue
from api_service.repository import JobToPush, ParseRequestRepository, RetryPolicy

BATCH = 1000
LOST_BATCH = 10_000
MOST_LOST = 50_000
"""Pushed again after one look, so that the worker has time for others between two."""
MOST_SECONDS = 60
"""For one sweep, whose steps have limits of their own."""
KEYS_SECONDS = 60

# Any number: whoever holds it sweeps.
SWEEP_LOCK = 3_180_274_996

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SweepPolicy:
    """How long the sweep waits before it believes something.

    Attributes:
        pending_after: seconds until a `pending` request is pushed without its message.
        lease_grace: seconds that an ended lease may still be renewed.
        look_every: seconds between two looks for lost requests.
        lost_after: seconds that a request must be missing; above a page's deadline.
    """

    pending_after: float = 5.0
    lease_grace: float = 5.0
    look_every: float = 5.0
    lost_after: float = 45.0


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep has done, in requests."""

    due: int = 0
    stranded: int = 0
    died: int = 0
    exhausted: int = 0
    reclaimed: int = 0
    announced: int = 0
    suspects: int = 0
    lost: int = 0


class Sweep:
    """Finds requests that nothing stands for, and sees to it that something does."""

    def __init__(
        self,
        *,
        database: Database,
        queue: ParserQueue,
        jobs: JobService,
        retries: RetryPolicy,
        policy: SweepPolicy,
    ) -> None:
        self._database = database
        self._queue = queue
        self._jobs = jobs
        self._retries = retries
        self._policy = policy

    async def run(self) -> SweepReport | None:
        """Sweep once; None if somebody else is sweeping."""
        started = perf_counter()
        async with self._database.transaction(seconds=MOST_SECONDS) as lock:
            if not await ParseRequestRepository(lock).try_lock(SWEEP_LOCK):
                return None
            swept = await self._sweep()
        metrics.sweep_ended(perf_counter() - started)
        if any((swept.stranded, swept.died, swept.exhausted, swept.reclaimed, swept.lost)):
            log.warning("swept", **{name: getattr(swept, name) for name in SweepReport.__slots__})
        return swept

    async def _sweep(self) -> SweepReport:
        due = await self._push_due()
        stranded = await self._push_stranded()
        died, exhausted = await self._recover_from_dead_parsers()
        reclaimed = await self._queue.reclaim()
        metrics.count_swept("reclaimed", reclaimed)
        announced = suspects = lost = 0
        if await self._queue.try_claim_chore("keys", KEYS_SECONDS):
            await self._jobs.forget_keys()
        if await self._queue.try_claim_chore("look", self._policy.look_every):
            announced, suspects, lost = await self._look_for_lost()
        return SweepReport(due, stranded, died, exhausted, reclaimed, announced, suspects, lost)

    async def _push_due(self) -> int:
        async with self._database.transaction() as session:
            due = await ParseRequestRepository(session).claim_due(limit=BATCH)
        return await self._push("due", due)

    async def _push_stranded(self) -> int:
        async with self._database.transaction() as session:
            stranded = await ParseRequestRepository(session).claim_stranded(
                age=self._policy.pending_after, limit=BATCH
            )
        return await self._push("stranded", stranded)

    async def _recover_from_dead_parsers(self) -> tuple[int, int]:
        """Push the jobs of dead parsers again, or fail them; how many of each."""
        tokens = await self._queue.expired_tokens(
            after_ms=int(self._policy.lease_grace * 1000), most=BATCH
        )
        if not tokens:
            return 0, 0
        async with self._database.transaction() as session:
            repository = ParseRequestRepository(session)
            again, failed = await repository.count_dead_attempts(tokens, self._retries)
            await repository.notify_ended([item.request_id for item in failed])
        metrics.attempts_retried(len(again))
        metrics.count_swept("exhausted", len(failed))
        for item in failed:
            metrics.request_failed("attempts_exhausted", age=item.age)
        await self._push("died", again)
        await self._queue.drop_leases(tokens)
        return len(again), len(failed)

    async def _look_for_lost(self) -> tuple[int, int, int]:
        """How many were announced, how many are suspects, and how many were pushed."""
        async with self._database.transaction() as session:
            begun = await ParseRequestRepository(session).now()
        seen = [request_id async for request_id in self._queue.standing()]
        async with self._database.transaction() as session:
            missing = await ParseRequestRepository(session).missing(seen, before=begun)
        tokens = {row.id: row.token for row in missing}
        announced = await self._announce_stored(tokens)
        suspects = [request_id for request_id in tokens if request_id not in announced]
        async with self._database.transaction() as session:
            await ParseRequestRepository(session).keep_only_suspects(suspects)
        for start in range(0, len(suspects), LOST_BATCH):
            async with self._database.transaction() as session:
                some = suspects[start : start + LOST_BATCH]
                await ParseRequestRepository(session).note_suspects(some)
        return len(announced), len(suspects), await self._push_lost()

    async def _push_lost(self) -> int:
        pushed = 0
        while pushed < MOST_LOST:
            async with self._database.transaction() as session:
                lost = await ParseRequestRepository(session).claim_lost(
                    age=self._policy.lost_after, limit=LOST_BATCH
                )
            pushed += await self._push("lost", lost)
            if len(lost) < LOST_BATCH:
                break
        return pushed

    async def _announce_stored(self, tokens: dict[int, str]) -> set[int]:
        """Announce results whose announcement was lost; those without a token are polled for."""
        stored = await self._queue.sizes(list(tokens))
        announcements = [
            Announcement(id=request_id, token=tokens[request_id], bytes=size)
            for request_id, size in stored.items()
            if await self._queue.has_token(request_id, tokens[request_id])
        ]
        await self._queue.announce(announcements)
        metrics.count_swept("announced", len(announcements))
        return {announcement.id for announcement in announcements}

    async def _push(self, action: str, requests: list[JobToPush]) -> int:
        await self._jobs.push(requests)
        metrics.count_swept(action, len(requests))
        return len(requests)
