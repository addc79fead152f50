"""Re-queues requests that Redis has lost, and repairs what crashes left. Beat sends it each second.

The row is the truth. Redis can lack what it should hold for a row for many reasons; the sweep
finds such rows and pushes them again. Under a lock, so that only one sweep runs:

1. Push the requests whose next attempt is due.
2. Push requests that have been `pending` for a while: their message was lost or is late. A late
   message finds them `processing` and does nothing.
3. Recover the jobs of dead parsers, proved dead by ended leases: count an attempt, and push the
   job again. The last attempt runs alone in its parser; after it the request fails.
4. Give back the announcements that a dead results process had taken.
5. Every few seconds, or less often if that takes long, look for lost requests: read the id of
   every message, lease and announcement in Redis, then the rows that were pushed. Announce a
   missing request that has a result stored. Otherwise mark it suspect; push it again if it is
   still missing after `lost_after` seconds. This is not an attempt: no parser tried.

If a step fails, the log names it and the next ones run.
Neither a long wait nor list position causes a second push. Ended requests cost nothing: steps 1
and 2 start behind them, as does the look, see `search_start.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from time import monotonic, perf_counter

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from api_service.database import Database
from api_service.endings.service import Endings
from api_service.exceptions import ApiError
from api_service.idempotency.service import forget_old_idempotency_keys
from api_service.metrics import worker as metrics
from api_service.parser_client.messages import ResultAnnouncement
from api_service.parser_client.queues import ParserQueues
from api_service.parser_client.wrong_type import is_wrong_type_error
from api_service.queueing.chores import PeriodicChores
from api_service.queueing.handover import Handover
from api_service.queueing.repository import QueueRepository
from api_service.queueing.search_start import FULL_SEARCH_SECONDS, SearchStart
from api_service.repository import JobToPush

MAX_CLAIMED_PER_STEP = 1000
MAX_ROWS_PER_LOST_BATCH = 10_000
MAX_LOST_PUSHED_PER_SWEEP = 50_000
"""Pushed again after one look, so that the worker runs other tasks between two."""
LOOK_COST_FACTOR = 20
"""The pause between two looks is this many times as long as one takes, if that is slow."""
MAX_LOOK_PAUSE_SECONDS = 30.0
MAX_SWEEP_SECONDS = 60
"""For one sweep, whose steps have limits of their own."""
IDEMPOTENCY_CLEANUP_PERIOD_SECONDS = 60

# Any number: whoever holds it sweeps.
SWEEP_ADVISORY_LOCK_KEY = 3_180_274_996

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SweepDelays:
    """Delays before the sweep acts.

    Attributes:
        pending_after: seconds until a `pending` request is pushed without its message.
        lease_grace: seconds that an ended lease may still be renewed.
        look_every: least seconds between two looks for lost requests.
        lost_after: seconds that a request must be missing.
    """

    pending_after: float = 5.0
    lease_grace: float = 5.0
    look_every: float = 5.0
    lost_after: float = 45.0


@dataclass(frozen=True, slots=True)
class SweepReport:
    """Counts of what one sweep did, in requests."""

    due: int = 0
    stranded: int = 0
    died: int = 0
    exhausted: int = 0
    reclaimed: int = 0
    announced: int = 0
    suspects: int = 0
    lost: int = 0

    @property
    def repaired_count(self) -> int:
        """Count what was broken: retries that were due and suspects are everyday business."""
        return self.stranded + self.died + self.exhausted + self.reclaimed + self.lost


class Sweep:
    """Finds requests that Redis has lost, and pushes them again."""

    def __init__(
        self,
        *,
        database: Database,
        queues: ParserQueues,
        chores: PeriodicChores,
        handover: Handover,
        endings: Endings,
        policy: SweepDelays,
    ) -> None:
        self._database = database
        self._queues = queues
        self._chores = chores
        self._handover = handover
        self._endings = endings
        self._policy = policy
        self._pending_search = SearchStart[int]()
        self._due_search = SearchStart[datetime]()
        self._first_unfinished = SearchStart[int]()

    async def run(self) -> SweepReport | None:
        """Sweep once; return None if another worker is sweeping."""
        started = perf_counter()
        # The lock's transaction stays open while the steps open theirs: a pool of two at least.
        async with self._database.transaction(seconds=MAX_SWEEP_SECONDS) as lock:
            if not await QueueRepository(lock).try_lock(SWEEP_ADVISORY_LOCK_KEY):
                return None
            report, failed = await self._run_steps()
        if not failed:  # else the alert on sweeps that do not end tells of it
            metrics.count_sweep(perf_counter() - started)
        if report.repaired_count:
            log.warning("swept", **asdict(report))
        return report

    async def _run_steps(self) -> tuple[SweepReport, list[Exception]]:
        """Run all steps; return what they did, and the errors of those that failed."""
        if await self._chores.try_claim("search", every=FULL_SEARCH_SECONDS):
            self._pending_search.reset()
            self._due_search.reset()
            self._first_unfinished.reset()
        found: dict[str, int] = {}
        failed = []
        for step in (
            self._push_due_retries,
            self._push_stale_pending,
            self._recover_from_dead_parsers,
            self._return_announcements_of_dead_workers,
            self._delete_old_idempotency_keys,
            self._find_and_repair_lost,
        ):
            try:
                found |= await step()
            except (ApiError, OSError, RedisConnectionError, RedisTimeoutError):
                raise  # an outage: the other steps would wait for the same
            except Exception as error:
                failed.append(error)
                log.exception("step of the sweep failed", step=step.__name__.strip("_"))
        if any(map(is_wrong_type_error, failed)):
            await self._queues.census.log_keys_of_wrong_type()
        return SweepReport(**found), failed

    async def _return_announcements_of_dead_workers(self) -> dict[str, int]:
        reclaimed = await self._queues.results.return_announcements_of_dead_workers()
        metrics.count_swept("reclaimed", reclaimed)
        return {"reclaimed": reclaimed}

    async def _delete_old_idempotency_keys(self) -> dict[str, int]:
        if await self._chores.try_claim("keys", every=IDEMPOTENCY_CLEANUP_PERIOD_SECONDS):
            await forget_old_idempotency_keys(self._database)
        return {}

    async def _push_due_retries(self) -> dict[str, int]:
        first = self._due_search.get()
        async with self._database.transaction() as session:
            repository = QueueRepository(session)
            due = await repository.claim_due_retries(limit=MAX_CLAIMED_PER_STEP, first=first)
            next_due = await repository.find_due_search_start(first=first)
        self._due_search.record_first(next_due)
        return {"due": await self._push_and_count("due", due)}

    async def _push_stale_pending(self) -> dict[str, int]:
        first = self._pending_search.get()
        async with self._database.transaction() as session:
            repository = QueueRepository(session)
            stranded = await repository.claim_stale_pending(
                age=self._policy.pending_after, limit=MAX_CLAIMED_PER_STEP, first=first
            )
            next_pending = await repository.find_pending_search_start(first=first)
        self._pending_search.record_first(next_pending)
        return {"stranded": await self._push_and_count("stranded", stranded)}

    async def _recover_from_dead_parsers(self) -> dict[str, int]:
        tokens = await self._queues.leases.note_and_find_expired_tokens(
            after_ms=int(self._policy.lease_grace * 1000), limit=MAX_CLAIMED_PER_STEP
        )
        if not tokens:
            return {}
        again, failed = await self._endings.record_dead_attempts(tokens)
        metrics.count_swept("exhausted", len(failed))
        await self._push_and_count("died", again)
        await self._queues.leases.drop(tokens)
        return {"died": len(again), "exhausted": len(failed)}

    async def _find_and_repair_lost(self) -> dict[str, int]:
        if not await self._chores.try_claim("look", every=self._policy.look_every):
            return {}
        started = perf_counter()
        tokens = await self._find_missing()
        pause = min(MAX_LOOK_PAUSE_SECONDS, (perf_counter() - started) * LOOK_COST_FACTOR)
        announced = await self._announce_stored_results(tokens)
        suspects = [request_id for request_id in tokens if request_id not in announced]
        async with self._database.transaction() as session:
            await QueueRepository(session).clear_suspects_except(suspects)
        for start in range(0, len(suspects), MAX_ROWS_PER_LOST_BATCH):
            async with self._database.transaction() as session:
                await QueueRepository(session).add_suspects(
                    suspects[start : start + MAX_ROWS_PER_LOST_BATCH]
                )
        lost = await self._push_lost()
        if (
            pause > self._policy.look_every and lost < MAX_LOST_PUSHED_PER_SWEEP
        ):  # else more are lost
            await self._chores.postpone("look", seconds=pause)
        return {"announced": len(announced), "suspects": len(suspects), "lost": lost}

    async def _find_missing(self) -> dict[int, str]:
        """Return the requests that Redis lacks, with the tokens of their current attempts."""
        async with self._database.transaction() as session:
            begun = await QueueRepository(session).read_database_clock()
        seen = [request_id async for request_id in self._queues.census.request_ids_in_redis()]
        first = self._first_unfinished.get()
        async with self._database.transaction() as session:
            repository = QueueRepository(session)
            missing = await repository.find_missing_from_redis(seen, before=begun, first=first)
            next_unfinished = await repository.find_first_unfinished_or_newest(first=first)
        self._first_unfinished.record_first(next_unfinished)
        return {row.id: row.token for row in missing}

    async def _push_lost(self) -> int:
        pushed = 0
        while pushed < MAX_LOST_PUSHED_PER_SWEEP:
            async with self._database.transaction() as session:
                lost = await QueueRepository(session).claim_lost(
                    age=self._policy.lost_after, limit=MAX_ROWS_PER_LOST_BATCH
                )
            pushed += await self._push_and_count("lost", lost)
            if len(lost) < MAX_ROWS_PER_LOST_BATCH:
                break
        return pushed

    async def _announce_stored_results(self, tokens: dict[int, str]) -> set[int]:
        """Announce stored results whose announcement was lost; results without a token are polled.

        What cannot be read is announced, too: the current attempt fails with it.

        Args:
            tokens: the current attempt of each request that may have a result.
        """
        sizes = await self._queues.results.stored_sizes(list(tokens))
        stored = await self._queues.results.stored_tokens(list(sizes))
        announcements = [
            ResultAnnouncement(id=request_id, token=tokens[request_id], bytes=sizes[request_id])
            for request_id, token in stored.items()
            if token is None or token == tokens[request_id]
        ]
        await self._queues.results.announce(announcements)
        metrics.count_swept("announced", len(announcements))
        return {announcement.id for announcement in announcements}

    async def _push_and_count(self, action: str, requests: Sequence[JobToPush]) -> int:
        await self._handover.push_claimed(requests)
        metrics.count_swept(action, len(requests))
        return len(requests)


class SweepCooldown:
    """Keeps the sweeps of one worker apart: many messages of beat may have piled up.

    Args:
        seconds: least time between the end of one sweep and the beginning of the next.
        clock: running time in seconds.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._ends = 0.0

    def is_over(self) -> bool:
        """Return whether the next sweep may begin."""
        return self._clock() >= self._ends

    def restart(self) -> None:
        """Begin the pause after a sweep."""
        self._ends = self._clock() + self._seconds
