"""PostgreSQL is down, silent, cuts connections, times out or is full."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from time import monotonic

import httpx
import pytest
import pytest_asyncio

from tests.support import invariants
from tests.support.deployment import Deployment, deployed
from tests.support.load import Load

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER_SECONDS = 5.0
SLACK_SECONDS = 1.5
"""Beyond what the API promises, for a machine that is busy with other tests."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    quick = {"LOST_AFTER": "6", "FETCH_TIMEOUT": "5", "RETRY_DELAY": "0.5"}
    async with deployed(tmp_path_factory.mktemp("postgres"), **quick) as opened:
        yield opened


async def _ask_everything(deployment: Deployment, load: Load, *, number: int) -> Counter[str]:
    """Make calls of each kind at once, none of which may hang; count answers by status and code."""
    answers: Counter[str] = Counter()

    async def ask(client: httpx.AsyncClient, call: int) -> None:
        started = monotonic()
        match call % 3:
            case 0:
                response = await load.post(client)
            case 1:
                response = await client.get("/status/1")
            case _:
                response = await client.get("/result/1?wait=2")
        assert monotonic() - started < ANSWER_SECONDS + SLACK_SECONDS
        answers[f"{response.status_code} {response.json().get('code', '')}".strip()] += 1

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=load.url, timeout=30, trust_env=False, limits=limits
    ) as client:
        await asyncio.gather(*(ask(client, call) for call in range(number)))
    return answers


async def _slowest_health(deployment: Deployment, seconds: float) -> float:
    slowest = 0.0
    async with deployment.system.client() as client:
        end = monotonic() + seconds
        while monotonic() < end:
            started = monotonic()
            assert (await client.get("/health")).status_code == 200
            slowest = max(slowest, monotonic() - started)
            await asyncio.sleep(0.05)
    return slowest


@pytest.mark.slow
async def test_a_silent_postgres_is_a_503_for_everybody_within_five_seconds(
    deployment: Deployment, load: Load
) -> None:
    await load.submit(20)
    with deployment.postgres.paused():
        for _ in range(3):
            answers, slowest_health = await asyncio.gather(
                _ask_everything(deployment, load, number=90), _slowest_health(deployment, 4)
            )
            assert answers == {"503 database_unavailable": 90}
            assert slowest_health < 1
    await load.submit(20)
    await invariants.all_hold(deployment, load.ids)
    assert not load.undeclared


@pytest.mark.slow
async def test_a_postgres_behind_a_silent_wire_is_a_503_within_five_seconds(
    deployment: Deployment, load: Load
) -> None:
    await load.submit(20)
    deployment.to_postgres.silence()
    for _ in range(3):
        answers = await _ask_everything(deployment, load, number=60)
        assert answers == {"503 database_unavailable": 60}
    deployment.to_postgres.speak()
    await load.submit(20)
    await invariants.all_hold(deployment, load.ids)


@pytest.mark.slow
async def test_a_postgres_that_is_away_for_ten_seconds_loses_nothing(
    deployment: Deployment, load: Load
) -> None:
    await load.submit(100)
    async with load.steady():
        deployment.postgres.kill()
        end = monotonic() + 10
        answers = await _ask_everything(deployment, load, number=60)
        assert answers == {"503 database_unavailable": 60}
        await asyncio.sleep(end - monotonic())
        deployment.postgres.start()
        await asyncio.sleep(3)
    assert not load.undeclared
    assert not load.broken
    assert load.answers["202"] > 100
    await invariants.all_hold(deployment, load.ids)


@pytest.mark.slow
async def test_a_postgres_that_cuts_connections_again_and_again_loses_nothing(
    deployment: Deployment, load: Load
) -> None:
    cut = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    async with load.steady(), deployment.database() as connection:
        for _ in range(50):
            await connection.fetchval(cut)
            await asyncio.sleep(0.1)
    assert not load.undeclared
    assert not load.broken
    assert load.answers["202"]
    await invariants.all_hold(deployment, load.ids)


@pytest.mark.slow
async def test_a_storm_of_resets_is_no_500(deployment: Deployment, load: Load) -> None:
    async with load.steady(clients=8, pause=0):
        for _ in range(200):
            deployment.to_postgres.reset()
            await asyncio.sleep(0.05)
    assert not load.undeclared
    assert not load.broken
    await invariants.all_hold(deployment, load.ids)


async def test_a_commit_that_gets_no_answer_is_a_503_and_no_half_a_request(
    deployment: Deployment, load: Load
) -> None:
    async with deployment.system.client() as client:
        with deployment.to_postgres.holding(rb"COMMIT", after=rb"/page/\d+") as hold:
            asking = asyncio.create_task(load.post(client))
            await hold.reached()
            deployment.to_postgres.reset()
            answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    await load.submit(5)
    await invariants.all_hold(deployment, load.ids)


@pytest.mark.slow
async def test_statements_that_time_out_are_done_later(deployment: Deployment, load: Load) -> None:
    setting = "ALTER DATABASE postgres SET statement_timeout = {}"
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    ids = await load.submit(50)
    async with deployment.database() as connection:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(setting.format(1))
        await connection.execute(cut)
        async with load.steady():
            await asyncio.sleep(4)
        await connection.execute(setting.format(0))
        await connection.execute(cut)
    assert not load.undeclared
    assert not load.broken
    await invariants.all_hold(deployment, [*load.ids, *ids])


async def test_a_postgres_that_cannot_write_is_a_503_and_no_half_a_request(
    deployment: Deployment, load: Load
) -> None:
    """As on a full disk: PostgreSQL refuses writes and answers reads."""
    ids = await load.submit(50)
    refuse = (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'could not extend file: No space left on device'"
        " USING ERRCODE = 'disk_full'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON parse_requests"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    async with deployment.database() as connection:
        await connection.execute(refuse)
        async with load.steady():
            await asyncio.sleep(4)
        await connection.execute("DROP FUNCTION refuse CASCADE")
    assert not load.undeclared
    assert load.answers["503 database_unavailable"]
    assert not load.broken
    await load.submit(5)
    await invariants.all_hold(deployment, [*load.ids, *ids])
