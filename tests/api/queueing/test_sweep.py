"""The sweep's five steps, on a real database and Redis; time passes at once."""

import asyncio
import json

import pytest

from api_service.config import Settings
from api_service.queueing.sweep import Swept
from api_service.worker.context import open_job_context
from tests.support.way import DONE, LEASES, PAGE, QUEUE, Way

BACKLOG = 100_000


# 1. What is due


async def test_a_retry_is_pushed_when_it_is_due_and_not_before(way: Way) -> None:
    request_id = await way.start()
    await way.fail(await way.take(), retryable=True, retry_after=20)
    await way.persist()
    assert (await way.later(19)).due == 0
    assert (await way.later(50)) == Swept(due=1)  # waiting so long has made no suspect of it
    assert await way.listed() == [request_id]


# 2. What was never started


async def test_a_request_whose_message_was_lost_is_pushed_once(way: Way) -> None:
    request_id = await way.add()
    assert (await way.later(4)).stranded == 0  # its message may still come
    assert (await way.later(2)).stranded == 1
    assert (await way.later(6)).stranded == 0
    await way.jobs.start([request_id])  # the message, late
    assert await way.listed() == [request_id]


async def test_more_stranded_requests_than_one_batch_are_pushed_in_some_sweeps(way: Way) -> None:
    await way.connection.execute(
        "INSERT INTO parse_requests (url) SELECT 'https://a.example/' FROM generate_series(1, 2500)"
    )
    assert [(await way.later(6)).stranded for _ in range(4)] == [1000, 1000, 500, 0]
    listed = await way.listed()
    assert len(listed) == len(set(listed)) == 2500


# 3. What dead parsers held


async def test_a_job_of_a_dead_parser_costs_an_attempt_and_the_last_runs_alone(way: Way) -> None:
    request_id = await way.start()
    for attempts, is_last in ((1, False), (2, True)):
        held = await way.take()
        assert (await way.later(14)).died == 0
        assert (await way.later(2)).died == 0  # the lease has ended; it may still be renewed
        assert (await way.later(6)).died == 1
        again = json.loads((await way.redis.lrange(QUEUE, 0, -1))[0])
        assert again["token"] != held["token"]
        assert again == held | {"token": again["token"]} | ({"alone": True} if is_last else {})
        row = await way.row(request_id)
        assert (row["status"], row["attempts"], row["alone"]) == ("processing", attempts, is_last)
    assert not await way.redis.exists(LEASES, f"{LEASES}:ended")


async def test_a_parser_that_was_silent_and_renews_in_time_keeps_its_job(way: Way) -> None:
    await way.start()
    token = (await way.take())["token"]
    for _ in range(3):
        assert (await way.later(16)).died == 0
        await way.parser.renew([token])
        assert (await way.later(6)).died == 0
    assert await way.redis.llen(QUEUE) == 0


async def test_a_poison_job_fails_after_its_last_attempt(way: Way) -> None:
    request_id = await way.start()
    seen = []
    for _ in range(3):
        await way.take()  # and dies
        await way.later(16)
        swept = await way.later(6)
        seen.append((swept.died, swept.exhausted))
    assert seen == [(1, 0), (1, 0), (0, 1)]
    row = await way.row(request_id)
    assert (row["status"], row["attempts"], row["token"]) == ("failure", 3, None)
    error = json.loads(row["error"])
    assert error["code"] == "attempts_exhausted"
    assert "3 attempts" in error["message"]
    assert not await way.redis.exists(QUEUE, LEASES)


async def test_a_lease_on_something_that_is_no_request_is_dropped(way: Way) -> None:
    await way.redis.zadd(LEASES, {"a-producer-of-its-own": 1, "12-unknown": 1, "9" * 40: 1})
    await way.later(0)
    assert await way.later(6) == Swept()
    assert not await way.redis.exists(LEASES, f"{LEASES}:ended", QUEUE)


# 4. What dead takers had taken


async def test_a_taker_that_dies_gives_its_announcements_back(way: Way) -> None:
    request_id = await way.start()
    await way.finish(await way.take())
    # A results process of another name takes it and dies.
    await way.redis.lmove(DONE, "parser:tasks:taken:dead:1", "LEFT", "RIGHT")
    await way.redis.zadd("parser:tasks:takers", {"dead:1": 1})
    assert (await way.later(0)).reclaimed == 1
    await way.persist()
    assert (await way.row(request_id))["status"] == "success"
    assert not await way.redis.exists(DONE, f"{DONE}:bytes", "parser:tasks:taken:dead:1")


# 5. What is nowhere


async def test_what_is_nowhere_is_pushed_when_it_has_been_missed_for_long_enough(way: Way) -> None:
    request_id = await way.start()
    lost = json.loads(await way.pop())
    assert await way.later(0) == Swept(suspects=1)
    assert await way.later(44) == Swept(suspects=1)
    assert (await way.later(5)).lost == 1
    again = json.loads((await way.redis.lrange(QUEUE, 0, -1))[0])
    assert again == lost | {"token": again["token"]}
    assert again["token"] != lost["token"]
    row = await way.row(request_id)
    assert (row["attempts"], row["alone"], row["suspect_since"]) == (0, False, None)
    assert await way.later(60) == Swept()


async def test_a_suspect_that_turns_up_is_none_any_more(way: Way) -> None:
    await way.start()
    raw = await way.pop()
    assert (await way.later(5)).suspects == 1
    await way.redis.lpush(QUEUE, raw)
    assert (await way.later(44)).suspects == 0
    await way.redis.lpop(QUEUE)
    assert await way.later(44) == Swept(suspects=1)  # anew: the 45 seconds begin here
    assert (await way.later(46)).lost == 1


@pytest.mark.parametrize(
    "place", ["list", "host", "ready", "lease", "taken", "announced", "stored"]
)
async def test_nothing_is_lost_that_stands_somewhere(way: Way, place: str) -> None:
    await way.start()
    raw = (await way.redis.lrange(QUEUE, 0, -1))[0]
    job = json.loads(raw)
    waiting = json.dumps({"job": raw, "url": "https://a.example/", "redirects": []})
    announcement = json.dumps({"id": job["id"], "token": job["token"]})
    if place != "list":
        await way.redis.delete(QUEUE)
    match place:
        case "host":
            await way.redis.zadd(f"{QUEUE}:hosts", {"a.example": 10**15})
            await way.redis.rpush(f"{QUEUE}:host:a.example:waiting", waiting)
        case "ready":
            await way.redis.rpush(f"{QUEUE}:ready", f"holder\na.example\n{waiting}")
        case "lease":
            await way.redis.zadd(LEASES, {job["token"]: 10**15})
        case "taken":
            await way.redis.rpush(f"{QUEUE}:taken:somebody", announcement)
            await way.redis.zadd(f"{QUEUE}:takers", {"somebody": 10**15})
        case "announced":
            await way.redis.rpush(DONE, announcement)
        case "stored":
            await way.redis.set(f"parser:results:{job['id']}", json.dumps(PAGE | job))
    for _ in range(3):
        swept = await way.later(46)
        assert (swept.suspects, swept.lost) == (0, 0)


async def test_a_stored_result_whose_announcement_was_lost_is_announced(way: Way) -> None:
    request_id = await way.start()
    await way.finish(await way.take())
    size = await way.redis.strlen(f"parser:results:{request_id}")
    await way.redis.delete(DONE, f"{DONE}:bytes")
    assert await way.later(0) == Swept(announced=1)
    assert await way.redis.get(f"{DONE}:bytes") == str(size)
    await way.persist()
    assert (await way.row(request_id))["status"] == "success"
    assert not await way.redis.exists(DONE, f"{DONE}:bytes", f"parser:results:{request_id}")


async def test_a_result_that_expired_is_fetched_anew(way: Way) -> None:
    request_id = await way.start()
    await way.finish(await way.take())
    await way.redis.delete(f"parser:results:{request_id}")
    await way.persist()
    await way.later(0)
    assert (await way.later(46)).lost == 1
    assert await way.listed() == [request_id]


async def test_a_late_result_of_an_earlier_attempt_never_changes_a_row(way: Way) -> None:
    request_id = await way.start()
    early = await way.take()
    await way.later(16)
    assert (await way.later(6)).died == 1
    second = await way.take()
    before = await way.row(request_id)
    await way.finish(early)
    await way.persist()
    assert await way.row(request_id) == before
    await way.finish(second)
    await way.persist()
    ended = await way.row(request_id)
    assert (ended["status"], ended["attempts"]) == ("success", 2)
    for job in (early, second, early):
        await way.finish(job)
        await way.persist()
    assert await way.row(request_id) == ended


async def test_a_wiped_redis_is_filled_again(way: Way) -> None:
    started = [await way.start() for _ in range(6)]
    never_started = await way.add()
    await way.take()
    await way.finish(await way.take())
    await way.redis.flushdb()
    assert (await way.later(6)).stranded == 1
    assert (await way.later(46)).lost == 6
    assert sorted(await way.listed()) == sorted([*started, never_started])
    assert await way.later(46) == Swept()
    attempts = await way.connection.fetch("SELECT DISTINCT attempts FROM parse_requests")
    assert [row["attempts"] for row in attempts] == [0]


async def test_what_other_producers_list_disturbs_nobody(way: Way) -> None:
    await way.start()
    for number in ("x", 10**18, 2**63, 10**40, -1, None):
        await way.redis.lpush(QUEUE, json.dumps({"id": number, "url": "https://a.example/"}))
    await way.redis.lpush(QUEUE, "", "nonsense", b"\xff\x00", '"id": ' + "9" * 10_000)
    assert await way.later(46) == Swept()
    await way.redis.rpop(QUEUE)
    assert await way.later(46) == Swept(suspects=1)


# All of it


async def test_of_two_sweeps_at_once_one_does_the_work(way: Way, settings: Settings) -> None:
    await way.connection.execute(
        "INSERT INTO parse_requests (url, created_at)"
        " SELECT 'https://a.example/', now() - interval '1 minute' FROM generate_series(1, 900)"
    )
    async with open_job_context(settings) as other:
        contexts = [way.context, other] * 3
        swept = await asyncio.gather(*(context.sweep.run() for context in contexts))
    assert sum(one.stranded for one in swept if one) == 900
    assert None in swept
    listed = await way.listed()
    assert len(listed) == len(set(listed)) == 900


async def test_a_sweep_that_died_leaves_no_lock(way: Way, settings: Settings) -> None:
    async with open_job_context(settings) as dying:
        sweeping = asyncio.create_task(dying.sweep.run())
        await asyncio.sleep(0)
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
    assert await way.context.sweep.run() is not None


async def _fill(way: Way) -> None:
    """So many requests that were pushed an hour ago, and the list that they stand in."""
    await way.connection.execute(
        "INSERT INTO parse_requests (url, status, token, created_at, updated_at)"
        " SELECT 'https://a.example/' || n, 'processing', n || '-abcdef0123456789',"
        " now() - interval '1 hour', now() - interval '1 hour' FROM generate_series(1, $1) AS n",
        BACKLOG,
    )
    rows = await way.connection.fetch("SELECT id, url, token FROM parse_requests ORDER BY id")
    messages = [json.dumps(dict(row) | {"reply": DONE}) for row in rows]
    for start in range(0, len(messages), 5000):
        await way.redis.rpush(QUEUE, *messages[start : start + 5000])


@pytest.mark.slow
@pytest.mark.parametrize("life_before", ["short", "quiet", "busy"])
async def test_a_backlog_of_100000_pushes_nothing_twice_and_all_of_it_when_redis_forgot_it(
    way: Way, life_before: str
) -> None:
    # Often enough for the database to settle on plans that fit what it has seen until then.
    for _ in range(12 if life_before == "quiet" else 0):
        await way.later(6)
    await _fill(way)
    for _ in range(12 if life_before == "busy" else 2):
        assert await way.later(46) == Swept()
    assert await way.redis.llen(QUEUE) == BACKLOG

    await way.redis.flushdb()
    assert (await way.later(6)).suspects == BACKLOG
    pushed = [(await way.later(46)).lost, (await way.later(6)).lost]
    assert pushed == [BACKLOG / 2, BACKLOG / 2]
    listed = await way.listed()
    assert len(set(listed)) == len(listed) == BACKLOG
    assert await way.later(46) == Swept()
