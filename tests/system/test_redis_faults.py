"""Redis is killed, emptied, silent, reset, full, read-only or loading."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import httpx
import pytest
import pytest_asyncio

from tests.support import invariants
from tests.support.deployment import Deployment, deployed
from tests.support.keys import result_key
from tests.support.load import Load
from tests.support.system import PARTS
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER_SECONDS = 5
MAX_THREADS = 64
"""More than two bounded pools need: 300 requests must not have a thread each."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    quick = {"LOST_AFTER": "6", "FETCH_TIMEOUT": "5", "RETRY_DELAY": "0.5"}
    async with deployed(tmp_path_factory.mktemp("redis"), **quick) as opened:
        yield opened


async def _stays_up_without_redis(deployment: Deployment, load: Load) -> None:
    """Check what the API owes its clients while Redis does not answer."""
    async with deployment.system.client() as client:
        async with asyncio.timeout(ANSWER_SECONDS):
            ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["checks"]["redis"]) == (503, "does not answer")
        async with asyncio.timeout(2):
            assert (await client.get("/health")).status_code == 200
    for _ in range(3):
        await load.submit(100)
    assert load.slowest < ANSWER_SECONDS
    assert deployment.system.part("api").num_threads() < MAX_THREADS


def _answered_well(load: Load) -> None:
    assert not load.undeclared
    assert not load.broken
    assert load.ids


@pytest.mark.slow
async def test_a_redis_that_falls_silent_holds_nobody_up(
    deployment: Deployment, load: Load
) -> None:
    await load.submit(20)
    with deployment.redis.paused():
        await asyncio.sleep(1)
        await _stays_up_without_redis(deployment, load)
    await invariants.all_hold(deployment, load.ids)
    _answered_well(load)


@pytest.mark.slow
async def test_a_minute_without_a_word_from_redis_loses_nothing(
    deployment: Deployment, load: Load
) -> None:
    async with load.steady(clients=2, pause=0.5):
        with deployment.redis.paused():
            end = monotonic() + 60
            await _stays_up_without_redis(deployment, load)
            await asyncio.sleep(end - monotonic())
    await invariants.all_hold(deployment, load.ids)
    assert load.slowest < ANSWER_SECONDS
    _answered_well(load)


@pytest.mark.slow
async def test_a_killed_redis_that_comes_back_with_its_data_loses_no_job(
    deployment: Deployment, load: Load
) -> None:
    await load.submit(200)
    deployment.redis.kill()
    await load.submit(20)
    deployment.redis.start()
    await invariants.all_hold(deployment, load.ids)
    _answered_well(load)


@pytest.mark.slow
async def test_a_redis_that_comes_back_empty_is_filled_again_from_the_rows(
    deployment: Deployment, load: Load
) -> None:
    await load.submit(200)
    deployment.redis.kill()
    deployment.redis.empty()
    deployment.redis.start()
    await invariants.all_hold(deployment, load.ids)


@pytest.mark.slow
async def test_a_storm_of_resets_loses_nothing(deployment: Deployment, load: Load) -> None:
    async with load.steady():
        for _ in range(15):
            await asyncio.sleep(2)
            deployment.to_redis.reset()
    await invariants.all_hold(deployment, load.ids)
    _answered_well(load)


@pytest.mark.slow
async def test_three_idle_minutes_change_nothing(deployment: Deployment, load: Load) -> None:
    await load.submit(5)
    await invariants.all_hold(deployment, load.ids)
    processes = [deployment.system.part(name).pid for name in PARTS]
    await asyncio.sleep(180)
    assert [deployment.system.part(name).pid for name in PARTS] == processes
    asked = len(deployment.site.requests)
    await load.submit(1)
    await until(lambda: len(deployment.site.requests) > asked, seconds=5)
    await invariants.all_hold(deployment, load.ids)


@pytest.mark.slow
async def test_a_result_that_vanishes_before_it_is_stored_is_fetched_again(
    deployment: Deployment, load: Load
) -> None:
    results = deployment.system.part("results")
    results.suspend()
    try:
        ids = await load.submit(5)
        async with deployment.keys() as redis:

            async def stored() -> bool:
                return int(await redis.exists(*(result_key(i) for i in ids))) == 5

            await until(stored)
            await redis.delete(*(result_key(i) for i in ids))
    finally:
        results.resume()
    await invariants.all_hold(deployment, ids)


@pytest.mark.slow
async def test_a_redis_without_memory_is_waited_for(deployment: Deployment, load: Load) -> None:
    await load.submit(20)
    async with deployment.keys() as redis, load.steady():
        await redis.config_set("maxmemory", 1024 * 1024)
        await asyncio.sleep(4)
        await redis.config_set("maxmemory", 0)
    await invariants.all_hold(deployment, load.ids)
    _answered_well(load)


@pytest.mark.slow
async def test_a_read_only_redis_is_waited_for(deployment: Deployment, load: Load) -> None:
    await load.submit(20)
    async with deployment.keys() as redis, load.steady():
        await redis.replicaof("127.0.0.1", 1)
        await asyncio.sleep(4)
        await redis.replicaof("NO", "ONE")
    await invariants.all_hold(deployment, load.ids)
    _answered_well(load)


@pytest.mark.slow
async def test_a_redis_that_loads_its_data_is_waited_for(
    deployment: Deployment, load: Load
) -> None:
    ballast = "for i = 1, 1500000 do redis.call('SET', 'ballast' .. i, i) end"
    async with deployment.keys() as redis:
        await redis.execute_command("SELECT", 5)
        await redis.eval(ballast, 0)
    await load.submit(50)
    deployment.redis.kill()
    async with load.steady():
        await asyncio.to_thread(deployment.redis.start)
    async with deployment.keys() as redis:
        await redis.execute_command("SELECT", 5)
        await redis.flushdb()
    await invariants.all_hold(deployment, load.ids)
    _answered_well(load)


async def test_clients_that_were_cut_off_ask_again_with_their_key_and_get_one_job(
    deployment: Deployment, load: Load
) -> None:
    publishes = rb"LPUSH\r\n\$3\r\napi\r\n"
    async with deployment.system.client() as client:
        with deployment.to_redis.holding(publishes) as hold:
            first = asyncio.create_task(load.post(client, key="17"))
            await hold.reached()
            deployment.system.kill("api")
            with pytest.raises(httpx.TransportError):
                await first
        answers = [await load.post(client, key="17") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len(load.ids) == 1
    async with deployment.database() as connection:
        rows = await connection.fetchval("SELECT count(*) FROM parse_requests")
        changes = await connection.fetchval("SELECT count(DISTINCT request_id) FROM status_changes")
    assert rows == changes
    await invariants.all_hold(deployment, load.ids)
