"""The job's way as a state machine: every interleaving of crashes ends in a final state.

Hypothesis plays the steps below in any order, against the real database, Redis and classes.
Each is one step of one part, or the death of a part in the middle of a step:

- the API commits a request; its Celery message may be lost, late, or delivered twice;
- the worker starts a request, or dies between its commit and its push;
- a parser takes a job, parks it for its host, ends it, or dies with it;
- the results process persists, or dies before or after its commit;
- Redis forgets a message, a result, or everything; results of earlier attempts arrive;
- time passes, and the sweep runs, at any moment.

After each step: a request that has ended does not change, and no request was tried too often.
In the end the faults end, the honest parts run on, and every request has to end,
with nothing left in Redis.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import redis.asyncio as aioredis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from api_service.assembly.worker import open_worker
from api_service.config import Settings
from api_service.database import Database
from api_service.parser_client.keys import Keys
from api_service.parser_client.results import ResultStore
from api_service.queueing.repository import QueueRepository
from parser_service import config as parser_config
from parser_service.dependencies import make_host_limits_if_set, make_job_queue
from parser_service.jobs.parked import ParkedJob
from parser_service.jobs.runnable import decode_job
from parser_service.redis_queue.host_limits import Slot
from parser_service.redis_queue.job_queue import TakenMessage
from tests.support.keys import DONE, LEASES, QUEUE, RESULTS, result_key
from tests.support.pipeline_steps import URL, Job, PipelineSteps
from tests.support.servers import dsn
from tests.support.time_travel import pass_time

MAX_ATTEMPTS = 3
HOST = "a.example"
ROUNDS = 15
"""Rounds of the honest parts within which every request ends."""


@dataclass(frozen=True)
class Step:
    """One of the things that can happen, in one of its variants.

    Attributes:
        needs: the attribute of the machine without which it cannot happen.
    """

    method: str
    variant: str
    needs: str

    def __repr__(self) -> str:
        return f"{self.method} {self.variant}".replace("_", " ").strip()


STEPS: list[Step] = []

Method = Callable[["JobsWay", str, int], Coroutine[Any, Any, None]]


def step(*variants: str, needs: str = "", weight: int = 1) -> Callable[[Method], Method]:
    """Have a method be among the steps; its arguments are a variant and any number."""

    def register(method: Method) -> Method:
        STEPS.extend(Step(method.__name__, variant, needs) for variant in variants * weight)
        return method

    return register


@dataclass(frozen=True)
class InHand:
    """A job in the hands of a parser that lives, with the slot of its host if it has one."""

    taken: TakenMessage
    job: Job
    slot: Slot | None


class JobsWay(RuleBasedStateMachine):
    """All parts of the system, one step at a time."""

    database_url: str
    redis_url: str

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self._accepted: list[int] = []
        self._messages: list[int] = []
        self._in_hand: list[InHand] = []
        self._ever_taken: list[Job] = []
        self._ended: dict[int, dict[str, Any]] = {}
        self._announced: list[int] = []
        self._takers = 0

    @initialize()
    def begin(self) -> None:
        self._run(self._open())

    async def _open(self) -> None:
        settings = Settings(
            database_url=self.database_url,
            redis_url=self.redis_url,
            max_attempts=MAX_ATTEMPTS,
            retry_delay=0.001,
        )
        enter = self._stack.enter_async_context
        context = await enter(open_worker(settings))
        database = Database(settings.database_address, timeout=10, pool_size=2)
        self._stack.push_async_callback(database.dispose)
        connection = await asyncpg.connect(dsn(self.database_url))
        self._stack.push_async_callback(connection.close)
        redis = await enter(aioredis.Redis.from_url(self.redis_url, decode_responses=True))
        self._raw_redis = await enter(aioredis.Redis.from_url(self.redis_url))
        parser_settings = parser_config.Settings(redis_url=self.redis_url, host_max_concurrent=1)
        limits = make_host_limits_if_set(self._raw_redis, parser_settings)
        assert limits is not None
        self._limits = limits
        await connection.execute("TRUNCATE parse_requests, idempotency_keys")
        await redis.flushdb()
        self._steps = PipelineSteps(
            context=context,
            database=database,
            connection=connection,
            redis=redis,
            parser=make_job_queue(self._raw_redis, parser_settings, name="parser"),
        )

    def _run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    # The API

    @step("taken", "started", "published", "not published", weight=2)
    async def api_accepts_a_request(self, fate: str, _: int) -> None:
        """It commits first and publishes then: it may die in between, or Redis may be away."""
        request_id = await self._steps.add()
        self._accepted.append(request_id)
        if fate == "published":
            self._messages.append(request_id)
        if fate in ("started", "taken"):
            await self._steps.handover.hand_over_pending([request_id])
        if fate == "taken":
            await self._take(1)

    # The worker

    @step("once", "and again later", needs="_messages", weight=2)
    async def worker_gets_a_message(self, times: str, which: int) -> None:
        """Celery delivers at least once: the message may come again, much later."""
        request_id = self._messages.pop(which % len(self._messages))
        if times == "and again later":
            self._messages.append(request_id)
        await self._steps.handover.hand_over_pending([request_id])

    @step("between commit and push", needs="_messages")
    async def worker_dies(self, _: str, which: int) -> None:
        request_id = self._messages[which % len(self._messages)]
        async with self._steps.database.transaction() as session:
            await QueueRepository(session).mark_processing([request_id])

    # A parser

    @step("one", "some", weight=3)
    async def parser_takes_jobs(self, how_many: str, _: int) -> None:
        await self._take(1 if how_many == "one" else 3)

    async def _take(self, most: int) -> int:
        taken = await self._steps.parser.take(most)
        for one in taken:
            hand = _read(one)
            self._in_hand.append(hand)
            self._ever_taken.append(hand.job)
        return len(taken)

    @step("between pop and lease")
    async def parser_dies(self, _: str, __: int) -> None:
        await self._steps.redis.lpop(QUEUE)

    @step("no process notices yet", "the next takes its job", "so do the next", needs="_in_hand")
    async def parser_dies_with_a_job(self, then: str, which: int) -> None:
        self._in_hand.pop(which % len(self._in_hand))
        noticed = {"no process notices yet": 0, "the next takes its job": 1, "so do the next": 5}
        for death in range(noticed[then]):
            if death and self._in_hand:
                self._in_hand.pop()
            for seconds in (17, 6):
                await self._pass_time(seconds)
                await self._steps.context.sweep.run()
            await self._take(1)

    @step("", needs="_in_hand", weight=2)
    async def parser_enters_the_host_or_parks_the_job(self, _: str, which: int) -> None:
        hand = self._in_hand.pop(which % len(self._in_hand))
        if hand.slot is None:
            parked = ParkedJob.of(json.dumps(hand.job).encode(), url=URL)
            token = hand.job["token"]
            slot = await self._limits.acquire_or_park(HOST, parked.encode(), token=token)
            if slot is None:
                return
            hand = InHand(hand.taken, hand.job, slot)
        self._in_hand.append(hand)

    @step("page", "try again", "no page", "page, never announced", needs="_in_hand", weight=2)
    async def parser_ends_a_job(self, outcome: str, which: int) -> None:
        await self._end(self._in_hand.pop(which % len(self._in_hand)), outcome)
        if outcome == "page, never announced":
            await self._steps.redis.rpop(DONE)

    async def _end(self, hand: InHand, outcome: str) -> None:
        if outcome.startswith("page"):
            await self._steps.finish(hand.job)
        else:
            await self._steps.fail(hand.job, retryable=outcome == "try again")
        if hand.slot is not None:
            await self._limits.release(hand.slot)
        self._announced.append(hand.job["id"])

    @step("and hands a job back", needs="_in_hand")
    async def parser_stops(self, _: str, which: int) -> None:
        hand = self._in_hand.pop(which % len(self._in_hand))
        await self._steps.parser.hand_back(hand.taken, token=hand.job["token"])

    @step("late", needs="_ever_taken")
    async def a_second_result_arrives(self, _: str, which: int) -> None:
        """From a parser that was silent for long, or that got the same message twice."""
        job = self._ever_taken[which % len(self._ever_taken)]
        await self._steps.finish(job)
        self._announced.append(job["id"])

    # The results process

    @step("and lives", "and dies before its commit", "and dies after it", needs="_announced")
    async def results_process_takes_a_batch(self, then: str, _: int) -> None:
        self._announced.clear()
        self._takers += 1
        store = ResultStore(self._raw_redis, Keys(QUEUE, RESULTS), name=f"taker-{self._takers}")
        taken = await store.fill_up_taken_announcements(limit=3, max_bytes=10**6)
        if then == "and dies before its commit":
            return
        results = await store.read([announced.id for announced in taken])
        tokens = {announced.token for announced in taken}
        valid = {i: result for i, result in results.items() if result.token in tokens}
        await self._steps.endings.record(valid)
        if then == "and lives":
            await store.acknowledge(taken, list(valid))

    # Redis

    @step("everything")
    async def redis_forgets(self, _: str, __: int) -> None:
        await self._steps.redis.flushdb()
        self._messages.clear()

    @step("expires", needs="_accepted")
    async def a_result(self, _: str, which: int) -> None:
        request_id = self._accepted[which % len(self._accepted)]
        await self._steps.redis.delete(result_key(request_id))

    @step("is doubled")
    async def a_job(self, _: str, __: int) -> None:
        for raw in await self._steps.redis.lrange(QUEUE, 0, 0):
            await self._steps.redis.rpush(QUEUE, raw)

    # Time and the sweep

    @step("2", "6", "17", "46", "120")
    async def seconds_pass(self, seconds: str, _: int) -> None:
        await self._pass_time(float(seconds))

    async def _pass_time(self, seconds: float) -> None:
        """Parsers that live renew their leases meanwhile, as they do every second."""
        await pass_time(self._steps.connection, self._steps.redis, seconds)
        await self._steps.parser.renew_leases([hand.job["token"] for hand in self._in_hand])

    @step("runs", "runs twice at once", weight=3)
    async def sweep(self, how: str, _: int) -> None:
        sweep = self._steps.context.sweep
        await asyncio.gather(*(sweep.run() for _ in range(1 if how == "runs" else 2)))

    @rule(data=st.data(), which=st.integers(min_value=0, max_value=99))
    def something_happens(self, data: st.DataObject, which: int) -> None:
        """One rule for all steps: with many, hypothesis would play few of them at a time."""
        possible = [one for one in STEPS if not one.needs or getattr(self, one.needs)]
        chosen = data.draw(st.sampled_from(possible), label="step")
        self._run(getattr(self, chosen.method)(chosen.variant, which))

    # What holds after each step, and in the end

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        if not hasattr(self, "_steps"):
            return
        rows = self._run(self._steps.connection.fetch("SELECT * FROM parse_requests ORDER BY id"))
        assert [row["id"] for row in rows] == sorted(self._accepted)
        for row in map(dict, rows):
            assert row["attempts"] <= MAX_ATTEMPTS
            assert self._ended.get(row["id"], row) == row
            if row["status"] in ("success", "failure"):
                self._ended[row["id"]] = row

    def teardown(self) -> None:
        try:
            if hasattr(self, "_steps"):
                self._run(self._heal())
                self.what_has_ended_stays_as_it_is()
                self._run(self._repeat_everything())
                self.what_has_ended_stays_as_it_is()
        finally:
            self._run(self._stack.aclose())
            self._runner.close()

    async def _heal(self) -> None:
        """Stop the faults: messages are delivered, time passes, and every part does its work."""
        for _ in range(ROUNDS):
            if await self._is_quiet():
                return
            await self._steps.handover.hand_over_pending(self._messages)
            self._messages.clear()
            await self._pass_time(46)
            await self._limits.hand_out_due_slots()
            while self._in_hand or await self._take(10):
                await self._end(self._in_hand.pop(), "page")
            await self._steps.persist()
            await self._steps.context.sweep.run()
        rows = await self._steps.connection.fetch("SELECT * FROM parse_requests")
        left = [dict(row) for row in rows if row["status"] not in ("success", "failure")]
        keys = await self._steps.redis.keys("*")
        raise AssertionError(f"never came to an end: {left}, in Redis: {keys}")

    async def _repeat_everything(self) -> None:
        """Repeat all messages and results after everything has ended."""
        await self._steps.handover.hand_over_pending(self._accepted)
        for job in self._ever_taken[:5]:
            await self._steps.finish(job)
            await self._steps.persist()
            await self._steps.fail(job, retryable=True)
            await self._steps.persist()
        await self._pass_time(120)
        await self._steps.context.sweep.run()
        assert await self._is_quiet()

    async def _is_quiet(self) -> bool:
        query = "SELECT count(*) FROM parse_requests WHERE status IN ('pending', 'processing')"
        if await self._steps.connection.fetchval(query):
            return False
        keys = map(str, await self._steps.redis.keys(f"{QUEUE}*"))
        lists = [key for key in keys if key == LEASES or await self._is_list(key)]
        return not lists

    async def _is_list(self, key: str) -> bool:
        return str(await self._steps.redis.type(key)) == "list"


def _read(taken: TakenMessage) -> InHand:
    """A message of either list, as the listener reads it."""
    work = decode_job(taken)
    return InHand(taken, json.loads(work.raw), work.slot)


def _play(database_url: str, redis_url: str, *, examples: int, steps: int, seeded: bool) -> None:
    class Machine(JobsWay):
        pass

    Machine.database_url, Machine.redis_url = database_url, redis_url
    run_state_machine_as_test(
        Machine,
        settings=hypothesis_settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=seeded,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_interleaving_of_crashes_ends_in_a_final_state(
    database_url: str, redis_url: str
) -> None:
    _play(database_url, redis_url, examples=15, steps=25, seeded=True)


@pytest.mark.slow
def test_many_more_interleavings_of_crashes_end_in_a_final_state(
    database_url: str, redis_url: str
) -> None:
    _play(database_url, redis_url, examples=200, steps=40, seeded=False)
