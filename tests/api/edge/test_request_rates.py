"""How many requests a user may send in a minute, over all processes of the API."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import pytest
import redis.asyncio as aioredis

from api_service.caller import ANONYMOUS, Caller, CallerLimits
from api_service.edge.request_rates import REDIS_PAUSE_SECONDS, RateState, RequestRates
from local.addresses import free_port
from tests.support.accounts import Accounts, bearer
from tests.support.app_client import AppClient, OpenApp
from tests.support.keys import calls_key

ADA, BOB = uuid4(), uuid4()
BODY = {"url": "https://a.example/"}


class Clock:
    """Tell a time that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _rates(redis: aioredis.Redis, clock: Clock) -> RequestRates:
    return RequestRates(redis, name_key=calls_key, clock=clock)


@pytest.fixture
async def away() -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis(port=free_port()) as client:
        yield client


def _user(owner_id: UUID, per_minute: int | None) -> Caller:
    return Caller(owner_id, limits=CallerLimits(requests_per_minute=per_minute))


async def _take(rates: RequestRates, caller: Caller) -> RateState:
    state = await rates.take(caller)
    assert state is not None
    return state


async def test_a_small_limit_is_exact_over_processes(redis: aioredis.Redis, clock: Clock) -> None:
    processes = [_rates(redis, clock) for _ in range(3)]
    ada = _user(ADA, 20)
    states = await asyncio.gather(*(_take(p, ada) for p in processes for _ in range(20)))
    assert sum(state.is_admitted for state in states) == 20
    assert {state.left for state in states if not state.is_admitted} == {0}
    assert (await _take(processes[0], _user(BOB, 20))).is_admitted


async def test_what_is_left_counts_down_and_comes_back_with_the_next_minute(
    redis: aioredis.Redis, clock: Clock
) -> None:
    rates, ada = _rates(redis, clock), _user(ADA, 3)
    assert [(await _take(rates, ada)).left for _ in range(4)] == [2, 1, 0, 0]
    refused = await _take(rates, ada)
    assert not refused.is_admitted
    assert 1 <= refused.seconds <= 60
    clock.now += 61
    await redis.delete(calls_key(ADA))  # Redis's own clock goes its own pace
    assert (await _take(rates, ada)).left == 2


async def test_the_counter_ends_with_the_minute(redis: aioredis.Redis, clock: Clock) -> None:
    rates, ada = _rates(redis, clock), _user(ADA, 10)
    await _take(rates, ada)
    assert 0 < await redis.pttl(calls_key(ADA)) <= 60_000
    await redis.persist(calls_key(ADA))  # as after a bug: no user is refused for ever
    await _take(rates, ada)
    assert 0 < await redis.pttl(calls_key(ADA)) <= 60_000


async def test_a_large_limit_costs_a_round_trip_for_each_hundred(
    redis: aioredis.Redis, clock: Clock
) -> None:
    rates, ada = _rates(redis, clock), _user(ADA, 60_000)
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]
    for together in range(0, 1000, 50):
        states = await asyncio.gather(*(_take(rates, ada) for _ in range(50)))
        assert [state.left for state in states] == [59_999 - together - i for i in range(50)]
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before <= 11
    assert int(await redis.get(calls_key(ADA)) or 0) == 1000
    assert await rates.read_used(ada) == 1000


async def test_a_large_limit_leaves_a_six_hundredth_for_each_process_at_most(
    redis: aioredis.Redis, clock: Clock
) -> None:
    limit, processes = 6000, [_rates(redis, clock) for _ in range(3)]
    ada = _user(ADA, limit)
    await _take(processes[1], ada)
    await _take(processes[2], ada)
    admitted = 2
    while (await _take(processes[0], ada)).is_admitted:
        admitted += 1
    assert limit - 2 * (limit // 600) <= admitted <= limit


async def test_use_is_what_was_sent_and_not_what_was_leased(
    redis: aioredis.Redis, clock: Clock
) -> None:
    rates, ada = _rates(redis, clock), _user(ADA, 6000)
    assert await rates.read_used(ada) == 0
    await _take(rates, ada)
    assert await rates.read_used(ada) == 1
    assert await rates.read_used(ANONYMOUS) == 0


async def test_a_changed_limit_holds_from_the_next_request(
    redis: aioredis.Redis, clock: Clock
) -> None:
    rates = _rates(redis, clock)
    for _ in range(3):
        await _take(rates, _user(ADA, 3))
    assert not (await _take(rates, _user(ADA, 3))).is_admitted
    assert (await _take(rates, _user(ADA, 5))).left == 1
    assert not (await _take(rates, _user(ADA, 4))).is_admitted
    assert (await _take(rates, _user(BOB, 6000))).left == 5999  # and nine more are leased
    assert not (await _take(rates, _user(BOB, 5))).is_admitted


async def test_without_redis_each_process_counts_for_itself(
    away: aioredis.Redis, clock: Clock
) -> None:
    processes = [_rates(away, clock) for _ in range(2)]
    ada = _user(ADA, 5)
    for rates in processes:
        states = [await _take(rates, ada) for _ in range(8)]
        assert [state.is_admitted for state in states] == [True] * 5 + [False] * 3
        assert await rates.read_used(ada) == 5
    clock.now += 61
    assert (await _take(processes[0], ada)).left == 4


async def test_redis_is_asked_again_after_a_pause(redis: aioredis.Redis, clock: Clock) -> None:
    await redis.lpush(calls_key(ADA), "a key of another type")
    rates, ada = _rates(redis, clock), _user(ADA, 5)
    assert [(await _take(rates, ada)).left for _ in range(2)] == [4, 3]
    await redis.delete(calls_key(ADA))
    assert (await _take(rates, ada)).left == 2
    assert not await redis.exists(calls_key(ADA))
    clock.now += REDIS_PAUSE_SECONDS
    await _take(rates, ada)
    assert await redis.get(calls_key(ADA)) == "1"


@pytest.mark.parametrize("caller", [ANONYMOUS, Caller(ADA)])
async def test_callers_without_a_limit_are_not_counted(
    redis: aioredis.Redis, clock: Clock, caller: Caller
) -> None:
    assert await _rates(redis, clock).take(caller) is None
    assert not await redis.exists(calls_key(ADA))


async def test_an_answer_says_what_is_left_and_a_refusal_when_to_ask_again(
    client: AppClient,
) -> None:
    accounts = Accounts().serve(client.app)
    token = accounts.add(per_minute=2)
    first = await client.get("/status/1", headers=bearer(token))
    second = await client.post("/parse_async", content=b"{", headers=bearer(token))
    assert (first.status_code, second.status_code) == (404, 422)
    for left, answer in enumerate((second, first)):
        assert answer.headers["ratelimit-policy"] == '"minute";q=2;w=60'
        assert re.fullmatch(rf'"minute";r={left};t=\d+', answer.headers["ratelimit"])
    refused = await client.post("/parse_async", json=BODY, headers=bearer(token))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit"] == f'"minute";r=0;t={refused.headers["retry-after"]}'
    anonymous = await client.get("/status/1")
    assert "ratelimit" not in anonymous.headers
    assert "ratelimit" not in (await client.get("/health", headers=bearer(token))).headers


async def test_two_processes_share_a_limit_and_a_refusal_stores_nothing(
    open_api: OpenApp, redis: aioredis.Redis
) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_api()) for _ in range(2)]
        accounts = Accounts()
        token = accounts.add(per_minute=10)
        for client in clients:
            accounts.serve(client.app)
        answers = await asyncio.gather(
            *(
                client.post("/parse_async", json=BODY, headers=bearer(token))
                for client in clients
                for _ in range(10)
            )
        )
        stored = [answer.json()["request_id"] for answer in answers if answer.status_code == 202]
        assert len(stored) == 10
        assert {answer.status_code for answer in answers} == {202, 429}
        absent = await clients[0].get(f"/status/{max(stored) + 1}")
        assert absent.status_code == 404


async def test_a_refused_caller_does_not_keep_others_out(client: AppClient) -> None:
    accounts = Accounts().serve(client.app)
    ada, bob = accounts.add(per_minute=1), accounts.add(per_minute=1)
    codes = [(await client.get("/status/1", headers=bearer(ada))).status_code for _ in range(3)]
    assert codes == [404, 429, 429]
    assert (await client.get("/status/1", headers=bearer(bob))).status_code == 404
    assert (await client.get("/status/1")).status_code == 404
