"""Services are killed: at any time, and at the moment that would hurt most."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api_service.celery_app import broker_options, celery_app
from api_service.config import Settings
from tests.support import invariants
from tests.support.deployment import Deployment, deployed
from tests.support.keys import DONE, DONE_BYTES, QUEUE, result_key, taken_key
from tests.support.load import Load
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLISHES = rb"LPUSH\r\n\$3\r\napi\r\n"
PUSHES_A_JOB = rb"RPUSH\r\n\$\d+\r\n%b\r\n" % QUEUE.encode()
WAITS_FOR_A_JOB = rb"BLPOP\r\n\$\d+\r\n%b" % QUEUE.encode()
POPPED_A_JOB = rb"%b\r\n\$\d+\r\n\{\"id\"" % QUEUE.encode()
ACKNOWLEDGES_A_MESSAGE = rb"ZREM\r\n\$13\r\nunacked_index"
ACKNOWLEDGES_RESULTS = rb"%b[^\r]+\r\n\$\d+\r\n%b" % (taken_key("").encode(), DONE_BYTES.encode())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    quick = {"LOST_AFTER": "6", "FETCH_TIMEOUT": "5", "RETRY_DELAY": "0.5"}
    async with deployed(tmp_path_factory.mktemp("killed"), **quick) as opened:
        yield opened


async def _statuses(deployment: Deployment, ids: list[int]) -> dict[int, str]:
    async with deployment.database() as connection:
        rows = await connection.fetch(
            "SELECT id, status FROM parse_requests WHERE id = ANY($1)", ids
        )
    return {row["id"]: row["status"] for row in rows}


async def test_an_api_killed_between_commit_and_publication_loses_no_request(
    deployment: Deployment, load: Load
) -> None:
    with deployment.to_redis.holding(PUBLISHES) as hold:
        asking = asyncio.create_task(load.submit(1))
        await hold.reached()
        deployment.system.kill("api")
        with pytest.raises(httpx.TransportError):
            await asking
    async with deployment.database() as connection:
        request_id = await connection.fetchval("SELECT max(id) FROM parse_requests")
    await invariants.all_hold(deployment, [request_id])
    assert await _statuses(deployment, [request_id]) == {request_id: "success"}


def _celery_connection(deployment: Deployment) -> Any:
    options = broker_options(Settings(redis_url=deployment.redis.url))
    return celery_app.connection_for_write(transport_options=options)


async def test_a_message_without_a_row_harms_nobody(deployment: Deployment, load: Load) -> None:
    async with deployment.database() as connection:
        unknown = await connection.fetchval("SELECT max(id) + 1000 FROM parse_requests")
    with _celery_connection(deployment) as connection:
        celery_app.send_task(
            "api.parse_url", args=[unknown, "http://a.example/"], queue="api", connection=connection
        )
    ids = await load.submit(5)
    await invariants.all_hold(deployment, ids)


async def test_doubled_messages_and_jobs_end_each_request_once(
    deployment: Deployment, load: Load
) -> None:
    with deployment.to_redis.holding(PUSHES_A_JOB) as hold:
        ids = await load.submit(1)
        await hold.reached()
        async with deployment.database() as database, deployment.keys() as redis:
            token = await database.fetchval("SELECT token FROM parse_requests WHERE id = $1", *ids)
            job = {"id": ids[0], "url": load.urls[0], "token": token, "reply": DONE}
            await redis.lpush(QUEUE, *[json.dumps(job)] * 2)
        hold.let_go()
    with _celery_connection(deployment) as connection:
        for _ in range(2):
            celery_app.send_task(
                "api.parse_url", args=[ids[0], load.urls[0]], queue="api", connection=connection
            )
    await invariants.all_hold(deployment, ids)


@pytest.mark.slow
async def test_a_worker_killed_between_commit_and_acknowledgement_pushes_once(
    deployment: Deployment, load: Load
) -> None:
    with deployment.to_redis.holding(ACKNOWLEDGES_A_MESSAGE, after=PUSHES_A_JOB) as hold:
        ids = await load.submit(1)
        await hold.reached()
        deployment.system.kill("worker")
    await invariants.all_hold(deployment, ids)


@pytest.mark.slow
async def test_results_that_were_stored_but_not_released_are_stored_once(
    deployment: Deployment, load: Load
) -> None:
    with deployment.to_redis.holding(ACKNOWLEDGES_RESULTS) as hold:
        ids = await load.submit(1)
        await hold.reached()
        ended = await _statuses(deployment, ids)
        deployment.system.kill("worker")
    assert ended == {ids[0]: "success"}
    await invariants.all_hold(deployment, ids)


@pytest.mark.slow
async def test_a_parser_killed_after_it_stored_a_result_fetches_nothing_again(
    deployment: Deployment, load: Load
) -> None:
    results = deployment.system.part("results")
    results.suspend()
    try:
        before = len(deployment.site.requests)
        ids = await load.submit(5)
        async with deployment.keys() as redis:

            async def stored() -> bool:
                return int(await redis.exists(*(result_key(i) for i in ids))) == 5

            await until(stored)
        deployment.system.kill("parser")
    finally:
        results.resume()
    await invariants.all_hold(deployment, ids)
    assert len(deployment.site.requests) == before + 5


@pytest.mark.slow
async def test_a_job_that_a_dying_parser_had_popped_and_not_leased_is_not_lost(
    deployment: Deployment, load: Load
) -> None:
    # A parser that has just started takes its first jobs by script, with their leases.
    with deployment.to_redis.holding(WAITS_FOR_A_JOB) as hold:
        await hold.reached()
        hold.let_go()
    with deployment.to_redis.holding(POPPED_A_JOB, to_server=False) as hold:
        ids = await load.submit(1)
        await hold.reached()
        deployment.system.kill("parser")
    await invariants.all_hold(deployment, ids)
    assert await _statuses(deployment, ids) == {ids[0]: "success"}


@pytest.mark.slow
async def test_a_parser_killed_while_it_fetches_loses_no_job(
    deployment: Deployment, load: Load
) -> None:
    slow = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>slow</title>"
    load.urls = [
        deployment.site.raw(f"/slow/{number}", slow, delay=3).replace("0.0.1", f"0.0.{number + 1}")
        for number in range(2)
    ]
    ids = await load.submit(10)
    await until(lambda: deployment.site.count("/slow/0") >= 2)
    deployment.system.kill("parser")
    await invariants.all_hold(deployment, ids)
    assert set((await _statuses(deployment, ids)).values()) == {"success"}


@pytest.mark.slow
async def test_a_page_that_kills_its_parser_every_time_fails_and_the_others_flow(
    deployment: Deployment, load: Load
) -> None:
    async def kill_parser(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        deployment.system.kill("parser")

    poison = Load(load.url, [deployment.site.answer("/poison", kill_parser)])
    (poisoned,) = await poison.submit(1)
    others = await load.submit(20)
    await invariants.all_hold(deployment, [poisoned, *others])
    async with deployment.database() as connection:
        error = await connection.fetchval(
            "SELECT error ->> 'code' FROM parse_requests WHERE id = $1", poisoned
        )
    assert error == "attempts_exhausted"
    assert deployment.site.count("/poison") == 3
    assert set((await _statuses(deployment, others)).values()) == {"success"}
