"""The sweep's five steps, on a real database and Redis; time passes at once."""

import asyncio
import json
from datetime import timedelta

import pytest

from api_service.assembly.worker import open_worker
from api_service.config import Settings
from api_service.queueing import sweep
from api_service.queueing.repository import QueueRepository
from api_service.queueing.sweep import SweepReport
from tests.support.keys import (
    DONE,
    DONE_BYTES,
    ENDED_LEASES,
    HOSTS,
    LEASES,
    QUEUE,
    READY,
    TAKERS,
    result_key,
    taken_key,
    waiting_key,
)
from tests.support.pipeline_steps import PAGE, PipelineSteps

BACKLOG = 100_000


# 1. What is due


async def test_a_retry_is_pushed_when_it_is_due_and_not_before(steps: PipelineSteps) -> None:
    request_id = await steps.start()
    await steps.fail(await steps.take(), retryable=True, retry_after=20)
    await steps.persist()
    assert (await steps.later(19)).due == 0
    assert (await steps.later(50)) == SweepReport(due=1)  # a long wait does not make it a suspect
    assert await steps.listed() == [request_id]


# 2. What was never started


async def test_a_request_whose_message_was_lost_is_pushed_once(steps: PipelineSteps) -> None:
    request_id = await steps.add()
    assert (await steps.later(4)).stranded == 0  # its message may still come
    assert (await steps.later(2)).stranded == 1
    assert (await steps.later(6)).stranded == 0
    await steps.handover.hand_over_pending([request_id])  # the message, late
    assert await steps.listed() == [request_id]


async def test_more_stranded_requests_than_one_batch_are_pushed_in_some_sweeps(
    steps: PipelineSteps,
) -> None:
    await steps.connection.execute(
        "INSERT INTO parse_requests (url) SELECT 'https://a.example/' FROM generate_series(1, 2500)"
    )
    assert [(await steps.later(6)).stranded for _ in range(4)] == [1000, 1000, 500, 0]
    listed = await steps.listed()
    assert len(listed) == len(set(listed)) == 2500


# 3. What dead parsers held


async def test_a_job_of_a_dead_parser_costs_an_attempt_and_the_last_runs_alone(
    steps: PipelineSteps,
) -> None:
    request_id = await steps.start()
    for attempts, is_last in ((1, False), (2, True)):
        held = await steps.take()
        assert (await steps.later(14)).died == 0
        assert (await steps.later(2)).died == 0  # the lease has ended; it may still be renewed
        assert (await steps.later(6)).died == 1
        again = json.loads((await steps.redis.lrange(QUEUE, 0, -1))[0])
        assert again["token"] != held["token"]
        assert again == held | {"token": again["token"]} | ({"alone": True} if is_last else {})
        row = await steps.row(request_id)
        assert (row["status"], row["attempts"], row["alone"]) == ("processing", attempts, is_last)
    assert not await steps.redis.exists(LEASES, ENDED_LEASES)


async def test_a_parser_that_was_silent_and_renews_in_time_keeps_its_job(
    steps: PipelineSteps,
) -> None:
    await steps.start()
    token = (await steps.take())["token"]
    for _ in range(3):
        assert (await steps.later(16)).died == 0
        await steps.parser.renew_leases([token])
        assert (await steps.later(6)).died == 0
    assert await steps.redis.llen(QUEUE) == 0


async def test_a_poison_job_fails_after_its_last_attempt(steps: PipelineSteps) -> None:
    request_id = await steps.start()
    seen = []
    for _ in range(3):
        await steps.take()  # and dies
        await steps.later(16)
        swept = await steps.later(6)
        seen.append((swept.died, swept.exhausted))
    assert seen == [(1, 0), (1, 0), (0, 1)]
    row = await steps.row(request_id)
    assert (row["status"], row["attempts"], row["token"]) == ("failure", 3, None)
    error = json.loads(row["error"])
    assert error["code"] == "attempts_exhausted"
    assert "3 attempts" in error["message"]
    assert not await steps.redis.exists(QUEUE, LEASES)


async def test_a_lease_on_something_that_is_no_request_is_dropped(steps: PipelineSteps) -> None:
    await steps.redis.zadd(LEASES, {"a-producer-of-its-own": 1, "12-unknown": 1, "9" * 40: 1})
    await steps.later(0)
    assert await steps.later(6) == SweepReport()
    assert not await steps.redis.exists(LEASES, ENDED_LEASES, QUEUE)


# 4. What dead takers had taken


async def test_a_taker_that_dies_gives_its_announcements_back(steps: PipelineSteps) -> None:
    request_id = await steps.start()
    await steps.finish(await steps.take())
    # A results process of another name takes it and dies.
    await steps.redis.lmove(DONE, taken_key("dead:1"), "LEFT", "RIGHT")
    await steps.redis.zadd(TAKERS, {"dead:1": 1})
    assert (await steps.later(0)).reclaimed == 1
    await steps.persist()
    assert (await steps.row(request_id))["status"] == "success"
    assert not await steps.redis.exists(DONE, DONE_BYTES, taken_key("dead:1"))


# 5. What is nowhere


async def test_what_is_nowhere_is_pushed_when_it_has_been_missed_for_long_enough(
    steps: PipelineSteps,
) -> None:
    request_id = await steps.start()
    lost = json.loads(await steps.pop())
    assert await steps.later(0) == SweepReport(suspects=1)
    assert await steps.later(44) == SweepReport(suspects=1)
    assert (await steps.later(5)).lost == 1
    again = json.loads((await steps.redis.lrange(QUEUE, 0, -1))[0])
    assert again == lost | {"token": again["token"]}
    assert again["token"] != lost["token"]
    row = await steps.row(request_id)
    assert (row["attempts"], row["alone"], row["suspect_since"]) == (0, False, None)
    assert await steps.later(60) == SweepReport()


async def test_a_slow_look_is_made_less_often(
    steps: PipelineSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "LOOK_COST_FACTOR", 1_000_000)
    await steps.later(6)
    request_id = await steps.start()
    await steps.redis.delete(QUEUE)
    assert (await steps.later(sweep.MAX_LOOK_PAUSE_SECONDS - 2)).suspects == 0
    assert (await steps.later(4)).suspects == 1
    assert (await steps.row(request_id))["suspect_since"] is not None


async def test_a_look_starts_behind_what_had_ended_and_now_and_then_at_the_bottom(
    steps: PipelineSteps,
) -> None:
    early = await steps.start()
    await steps.connection.execute("UPDATE parse_requests SET status = 'success'")
    late = await steps.start()
    for _ in range(3):
        await steps.later(6)
    # As a row does that is committed long after rows that it precedes.
    await steps.connection.execute("UPDATE parse_requests SET status = 'processing'")
    await steps.redis.delete(QUEUE)
    assert (await steps.later(6)).suspects == 1
    assert (await steps.row(late))["suspect_since"] is not None
    await steps.later(61)
    assert (await steps.row(early))["suspect_since"] is not None


async def test_a_suspect_that_turns_up_is_none_any_more(steps: PipelineSteps) -> None:
    await steps.start()
    raw = await steps.pop()
    assert (await steps.later(5)).suspects == 1
    await steps.redis.lpush(QUEUE, raw)
    assert (await steps.later(44)).suspects == 0
    await steps.redis.lpop(QUEUE)
    assert await steps.later(44) == SweepReport(suspects=1)  # the 45 seconds begin again here
    assert (await steps.later(46)).lost == 1


@pytest.mark.parametrize(
    "place", ["list", "host", "ready", "lease", "taken", "announced", "stored"]
)
async def test_nothing_is_lost_that_stands_somewhere(steps: PipelineSteps, place: str) -> None:
    await steps.start()
    raw = (await steps.redis.lrange(QUEUE, 0, -1))[0]
    job = json.loads(raw)
    waiting = json.dumps({"job": raw, "url": "https://a.example/", "redirects": []})
    announcement = json.dumps({"id": job["id"], "token": job["token"]})
    if place != "list":
        await steps.redis.delete(QUEUE)
    match place:
        case "host":
            await steps.redis.zadd(HOSTS, {"a.example": 10**15})
            await steps.redis.rpush(waiting_key("a.example"), waiting)
        case "ready":
            await steps.redis.rpush(READY, f"holder\na.example\n{waiting}")
        case "lease":
            await steps.redis.zadd(LEASES, {job["token"]: 10**15})
        case "taken":
            await steps.redis.rpush(taken_key("somebody"), announcement)
            await steps.redis.zadd(TAKERS, {"somebody": 10**15})
        case "announced":
            await steps.redis.rpush(DONE, announcement)
        case "stored":
            await steps.redis.set(result_key(job["id"]), json.dumps(PAGE | job))
    for _ in range(3):
        swept = await steps.later(46)
        assert (swept.suspects, swept.lost) == (0, 0)


async def test_a_stored_result_whose_announcement_was_lost_is_announced(
    steps: PipelineSteps,
) -> None:
    request_id = await steps.start()
    await steps.finish(await steps.take())
    size = await steps.redis.strlen(result_key(request_id))
    await steps.redis.delete(DONE, DONE_BYTES)
    assert await steps.later(0) == SweepReport(announced=1)
    assert await steps.redis.get(DONE_BYTES) == str(size)
    await steps.persist()
    assert (await steps.row(request_id))["status"] == "success"
    assert not await steps.redis.exists(DONE, DONE_BYTES, result_key(request_id))


async def test_a_result_that_expired_is_fetched_anew(steps: PipelineSteps) -> None:
    request_id = await steps.start()
    await steps.finish(await steps.take())
    await steps.redis.delete(result_key(request_id))
    await steps.persist()
    await steps.later(0)
    assert (await steps.later(46)).lost == 1
    assert await steps.listed() == [request_id]


async def test_a_late_result_of_an_earlier_attempt_never_changes_a_row(
    steps: PipelineSteps,
) -> None:
    request_id = await steps.start()
    early = await steps.take()
    await steps.later(16)
    assert (await steps.later(6)).died == 1
    second = await steps.take()
    before = await steps.row(request_id)
    await steps.finish(early)
    await steps.persist()
    assert await steps.row(request_id) == before
    await steps.finish(second)
    await steps.persist()
    ended = await steps.row(request_id)
    assert (ended["status"], ended["attempts"]) == ("success", 2)
    for job in (early, second, early):
        await steps.finish(job)
        await steps.persist()
    assert await steps.row(request_id) == ended


async def test_a_wiped_redis_is_filled_again(steps: PipelineSteps) -> None:
    started = [await steps.start() for _ in range(6)]
    never_started = await steps.add()
    await steps.take()
    await steps.finish(await steps.take())
    await steps.redis.flushdb()
    assert (await steps.later(6)).stranded == 1
    assert (await steps.later(46)).lost == 6
    assert sorted(await steps.listed()) == sorted([*started, never_started])
    assert await steps.later(46) == SweepReport()
    attempts = await steps.connection.fetch("SELECT DISTINCT attempts FROM parse_requests")
    assert [row["attempts"] for row in attempts] == [0]


async def test_what_other_producers_list_disturbs_nobody(steps: PipelineSteps) -> None:
    await steps.start()
    for number in ("x", 10**18, 2**63, 10**40, -1, None):
        await steps.redis.lpush(QUEUE, json.dumps({"id": number, "url": "https://a.example/"}))
    await steps.redis.lpush(QUEUE, "", "nonsense", b"\xff\x00", '"id": ' + "9" * 10_000)
    assert await steps.later(46) == SweepReport()
    await steps.redis.rpop(QUEUE)
    assert await steps.later(46) == SweepReport(suspects=1)


# All of it


async def test_of_two_sweeps_at_once_one_does_the_work(
    steps: PipelineSteps, settings: Settings
) -> None:
    await steps.connection.execute(
        "INSERT INTO parse_requests (url, created_at)"
        " SELECT 'https://a.example/', now() - interval '1 minute' FROM generate_series(1, 900)"
    )
    async with open_worker(settings) as other:
        contexts = [steps.context, other] * 3
        swept = await asyncio.gather(*(context.sweep.run() for context in contexts))
    assert sum(one.stranded for one in swept if one) == 900
    assert None in swept
    listed = await steps.listed()
    assert len(listed) == len(set(listed)) == 900


async def test_a_sweep_that_died_leaves_no_lock(steps: PipelineSteps, settings: Settings) -> None:
    async with open_worker(settings) as dying:
        sweeping = asyncio.create_task(dying.sweep.run())
        await asyncio.sleep(0)
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
    assert await steps.context.sweep.run() is not None


async def _fill(steps: PipelineSteps) -> None:
    """Store requests that were pushed an hour ago, and the list that holds their jobs."""
    await steps.connection.execute(
        "INSERT INTO parse_requests (url, status, token, created_at, updated_at)"
        " SELECT 'https://a.example/' || n, 'processing', n || '-abcdef0123456789',"
        " now() - interval '1 hour', now() - interval '1 hour' FROM generate_series(1, $1) AS n",
        BACKLOG,
    )
    rows = await steps.connection.fetch("SELECT id, url, token FROM parse_requests ORDER BY id")
    messages = [json.dumps(dict(row) | {"reply": DONE}) for row in rows]
    for start in range(0, len(messages), 5000):
        await steps.redis.rpush(QUEUE, *messages[start : start + 5000])


@pytest.mark.slow
@pytest.mark.parametrize("life_before", ["short", "quiet", "busy"])
async def test_a_backlog_of_100000_pushes_nothing_twice_and_all_of_it_when_redis_forgot_it(
    steps: PipelineSteps, life_before: str
) -> None:
    # Often enough for the database to settle on plans that fit what it has seen until then.
    for _ in range(12 if life_before == "quiet" else 0):
        await steps.later(6)
    await _fill(steps)
    for _ in range(12 if life_before == "busy" else 2):
        assert await steps.later(46) == SweepReport()
    assert await steps.redis.llen(QUEUE) == BACKLOG

    await steps.redis.flushdb()
    assert (await steps.later(6)).suspects == BACKLOG
    pushed = [(await steps.later(46)).lost, (await steps.later(6)).lost]
    assert pushed == [BACKLOG / 2, BACKLOG / 2]
    listed = await steps.listed()
    assert len(set(listed)) == len(listed) == BACKLOG
    assert await steps.later(46) == SweepReport()


async def test_what_was_pushed_after_a_look_began_is_not_missing(steps: PipelineSteps) -> None:
    request_id = await steps.start()
    pushed_at = (await steps.row(request_id))["updated_at"]
    for later, missing in ((0, []), (1, [request_id])):
        async with steps.database.transaction() as session:
            found = await QueueRepository(session).find_missing_from_redis(
                [], before=pushed_at + timedelta(microseconds=later)
            )
        assert [row.id for row in found] == missing


async def test_a_stored_result_of_another_attempt_is_not_announced(steps: PipelineSteps) -> None:
    request_id = await steps.start()
    await steps.pop()
    other = json.dumps(PAGE | {"token": f"{request_id}-other"})
    await steps.redis.set(result_key(request_id), other)
    assert await steps.later(6) == SweepReport(suspects=1)
    assert not await steps.redis.exists(DONE)


async def test_a_suspect_whose_result_is_announced_is_none_any_more(steps: PipelineSteps) -> None:
    request_id = await steps.start()
    job = json.loads(await steps.pop())
    assert (await steps.later(6)).suspects == 1
    await steps.redis.set(result_key(request_id), json.dumps(PAGE | {"token": job["token"]}))
    assert (await steps.later(6)).announced == 1
    assert (await steps.row(request_id))["suspect_since"] is None
