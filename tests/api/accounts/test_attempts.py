"""Guessing is limited per address, per account, and both; over all processes."""

import asyncio

import pytest
import redis.asyncio as aioredis

from api_service.accounts.attempt_counters import AttemptCounter, login_counters, network_of
from api_service.accounts.attempts import MAX_LOCAL_COUNTERS, AttemptLimits, LocalAttempts
from api_service.accounts.exceptions import TooManyAttemptsError
from api_service.config import Settings
from api_service.parser_client.keys import Keys
from tests.api.accounts.conftest import OpenPeople
from tests.api.accounts.people import ADA, BOB, PASSWORD, People
from tests.support.keys import QUEUE

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_client_is_its_address_or_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_anything_else_is_a_client_of_its_own() -> None:
    assert network_of("") != network_of("a") != network_of("x" * 10_000)
    assert len(network_of("x" * 10_000)) == 32


async def _guess(people: People, count: int, email: str = ADA) -> list[int]:
    return [(await people.try_login(email, "wrong wrong")).status_code for _ in range(count)]


async def test_guessing_ends_with_too_many_attempts(people: People) -> None:
    await people.register()
    assert await _guess(people, 10) == [401] * 10
    refused = await people.try_login()  # also with the right password
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
    assert 290 <= int(refused.headers["retry-after"]) <= 300


async def test_who_guesses_at_one_address_locks_the_owner_out_there_only(people: People) -> None:
    await people.register()
    guesser, owner = people.at(HERE), people.at(THERE)
    assert (await _guess(guesser, 12))[-2:] == [429, 429]
    await owner.log_in()
    await people.register(BOB)
    await guesser.log_in(BOB)


async def test_an_unknown_address_is_limited_alike(people: People) -> None:
    assert await _guess(people, 11, "nobody@example.org") == [401] * 10 + [429]


async def test_one_address_is_limited_over_all_accounts(people: People) -> None:
    statuses = []
    for number in range(101):
        statuses += await _guess(people, 1, f"user{number}@example.org")
    assert statuses == [401] * 100 + [429]
    assert await _guess(people.at(HERE), 1, "user1@example.org") == [401]


async def test_an_ipv6_client_cannot_choose_another_address_of_its_network(people: People) -> None:
    for number in range(10):
        assert await _guess(people.at(f"2001:db8::{number}"), 1) == [401]
    assert await _guess(people.at("2001:db8::ffff"), 1) == [429]
    assert await _guess(people.at("2001:db8:0:1::1"), 1) == [401]


async def test_an_account_is_limited_over_all_addresses_far_higher(
    people: People, redis: aioredis.Redis
) -> None:
    await people.register()
    both, address, account = login_counters(ADA, HERE)
    assert account.limit >= 10 * max(both.limit, address.limit)
    await redis.set(f"{QUEUE}:attempts:{account.subject}", account.limit - 1, ex=60)
    assert await _guess(people.at(HERE), 1) == [401]
    assert await _guess(people.at(THERE), 1) == [429]


async def test_right_passwords_take_nothing(people: People, redis: aioredis.Redis) -> None:
    await people.register()
    for _ in range(12):
        await people.log_in()
    counts = [await redis.get(key) async for key in redis.scan_iter(f"{QUEUE}:attempts:login:*")]
    assert counts == ["0", "0", "0"]


async def test_many_right_logins_at_once_are_all_let_in(people: People) -> None:
    await people.register()
    answers = await asyncio.gather(*(people.try_login() for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}


async def test_replicas_share_the_count(open_people: OpenPeople) -> None:
    async with open_people() as first, open_people() as second:
        await first.register()
        assert await _guess(first, 5) + await _guess(second, 5) == [401] * 10
        assert await _guess(first, 1) + await _guess(second, 1) == [429, 429]


async def test_a_guess_at_the_current_password_counts_as_well(people: People) -> None:
    token = await people.join()
    body = {"current": "wrong wrong", "new": "eight dry owls"}
    statuses = [
        (await people.call("POST", "/auth/password", token, json=body)).status_code
        for _ in range(11)
    ]
    assert statuses == [401] * 10 + [429]


async def test_without_redis_a_login_works_and_is_limited_within_the_process(
    open_people: OpenPeople,
) -> None:
    nothing = "redis://127.0.0.1:1/0"
    async with open_people(redis_url=nothing) as first, open_people(redis_url=nothing) as second:
        await first.register()
        await first.log_in()
        assert await _guess(first, 11) == [401] * 10 + [429]
        assert 290 <= int((await first.try_login()).headers["retry-after"]) <= 300
        await second.log_in()


@pytest.fixture
def limits(redis: aioredis.Redis, settings: Settings) -> AttemptLimits:
    return AttemptLimits(redis, Keys.of(settings))


TWO = (AttemptCounter("a", limit=2, seconds=60), AttemptCounter("b", limit=3, seconds=600))


async def test_a_refused_attempt_takes_from_no_counter(
    limits: AttemptLimits, redis: aioredis.Redis
) -> None:
    await limits.take(TWO)
    taken = await limits.take(TWO)
    for step in (limits.take, limits.require_room):
        with pytest.raises(TooManyAttemptsError) as refused:
            await step(TWO)
        assert refused.value.retry_after in (59, 60)
    assert await redis.mget(f"{QUEUE}:attempts:a", f"{QUEUE}:attempts:b") == ["2", "2"]
    assert 590 < await redis.ttl(f"{QUEUE}:attempts:b") <= 600
    await limits.give_back(taken)
    await limits.require_room(TWO)
    assert await redis.mget(f"{QUEUE}:attempts:a", f"{QUEUE}:attempts:b") == ["1", "1"]


async def test_what_has_expired_is_not_given_back_twice(
    limits: AttemptLimits, redis: aioredis.Redis
) -> None:
    taken = await limits.take(TWO)
    await redis.flushdb()
    await limits.give_back(taken)
    assert await redis.dbsize() == 0


async def test_a_counter_without_an_end_gets_one(
    limits: AttemptLimits, redis: aioredis.Redis
) -> None:
    await redis.set(f"{QUEUE}:attempts:a", 2)
    with pytest.raises(TooManyAttemptsError):
        await limits.take(TWO)
    assert 50 < await redis.ttl(f"{QUEUE}:attempts:a") <= 60


@pytest.mark.parametrize("value", ["list", "text"])
async def test_a_counter_that_is_none_leaves_the_limit_to_the_process(
    limits: AttemptLimits, redis: aioredis.Redis, value: str
) -> None:
    if value == "list":
        await redis.rpush(f"{QUEUE}:attempts:a", "x")
    else:
        await redis.set(f"{QUEUE}:attempts:a", "12x")
    await limits.take(TWO)
    await limits.take(TWO)
    with pytest.raises(TooManyAttemptsError):
        await limits.take(TWO)


async def test_a_silent_redis_holds_a_login_up_for_a_moment_only(settings: Settings) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aioredis.Redis(port=port) as silent:
        limits = AttemptLimits(silent, Keys.of(settings))
        async with asyncio.timeout(2):
            taken = await limits.take(TWO)
        assert not taken.in_redis


def test_the_memory_of_a_process_is_bounded() -> None:
    local = LocalAttempts()
    for number in range(MAX_LOCAL_COUNTERS + 100):
        local.count([AttemptCounter(str(number), limit=1, seconds=60)], takes=True)
    assert len(local._counts) == MAX_LOCAL_COUNTERS
    assert local.count([AttemptCounter(str(number), limit=1, seconds=60)], takes=True) > 59


def test_an_attempt_that_is_given_back_can_be_made_again() -> None:
    local = LocalAttempts()
    assert [local.count(TWO, takes=True) for _ in range(2)] == [0, 0]
    assert 59 < local.count(TWO, takes=True) <= 60
    local.give_back(TWO)
    assert local.count(TWO, takes=False) == 0


async def test_registrations_of_one_client_are_limited(
    people: People, redis: aioredis.Redis
) -> None:
    await redis.set(f"{QUEUE}:attempts:register:{HERE}", 1000, ex=100)
    body = {"email": ADA, "password": PASSWORD}
    refused = await people.at(HERE).client.post("/auth/register", json=body)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
    await people.at(THERE).register()


async def test_redis_that_does_not_answer_is_not_asked_each_time(settings: Settings) -> None:
    asked = 0

    class Silent(AttemptLimits):
        async def _run(self, *_: object) -> int:
            nonlocal asked
            asked += 1
            raise TimeoutError

    client = aioredis.Redis.from_url(settings.redis_url)
    silent = Silent(client, Keys.of(settings))
    for _ in range(3):
        taken = await silent.take([AttemptCounter("a", limit=5, seconds=60)])
        assert not taken.in_redis
    assert asked == 1
    await client.aclose()
