"""What is counted of an owner agrees with its rows after services were killed in the middle."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.owners.deletion import request_deletion
from tests.support import invariants
from tests.support.api_process import ApiProcess, running_api
from tests.support.deployment import Deployment, deployed
from tests.support.load import Load
from tests.support.owners import bytes_counted, bytes_in_rows
from tests.support.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

LIMIT = 40


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    quick = {"LOST_AFTER": "6", "FETCH_TIMEOUT": "5", "RETRY_DELAY": "0.5"}
    async with deployed(tmp_path_factory.mktemp("killed"), **quick) as opened:
        yield opened


@pytest.fixture
def ada() -> UUID:
    return uuid4()


def _api(deployment: Deployment) -> contextlib.AbstractAsyncContextManager[ApiProcess]:
    return running_api(
        app="tests.support.app_of_owners:app",
        DATABASE_URL=deployment.postgres.url,
        REDIS_URL=deployment.redis.url,
    )


def _as(owner: UUID) -> dict[str, str]:
    return {"x-owner": str(owner), "x-limit": str(LIMIT)}


async def _post_until_broken(api: ApiProcess, owner: UUID, urls: list[str], ids: set[int]) -> None:
    """Post as fast as it is answered, until the API is gone."""
    async with api.client() as client:
        with contextlib.suppress(httpx.TransportError):
            while True:
                for url in urls:
                    answer = await client.post(
                        "/parse_async", json={"url": url}, headers=_as(owner)
                    )
                    assert answer.status_code in (202, 429), answer.text
                    if answer.status_code == 202:
                        ids.add(answer.json()["request_id"])


async def _unfinished_rows(deployment: Deployment, owner: UUID) -> int:
    async with deployment.database() as connection:
        query = (
            "SELECT count(*) FROM parse_requests WHERE owner_id = $1"
            " AND status IN ('pending', 'processing')"
        )
        return int(await connection.fetchval(query, owner))


async def _use(api: ApiProcess, owner: UUID) -> dict[str, int]:
    async with api.client() as client:
        found: dict[str, int] = (await client.get("/use", headers=_as(owner))).json()
        return found


async def test_the_counts_of_an_owner_survive_kills_of_every_service(
    deployment: Deployment, load: Load, ada: UUID
) -> None:
    ids: set[int] = set()
    for _ in range(3):
        async with _api(deployment) as api:
            posting = [
                asyncio.create_task(_post_until_broken(api, ada, load.urls, ids)) for _ in range(4)
            ]
            await asyncio.sleep(1)
            deployment.system.kill("parser")
            await asyncio.sleep(0.5)
            deployment.system.kill("worker")
            await asyncio.sleep(0.5)
            api.process.kill()
            await asyncio.gather(*posting)
        async with _api(deployment) as api:
            # It moves on meanwhile: what is read lies between two looks at the rows.
            before = await _unfinished_rows(deployment, ada)
            use = await _use(api, ada)
            after = await _unfinished_rows(deployment, ada)
            assert min(before, after) <= use["unfinished_requests"] <= max(before, after)
            assert before <= LIMIT
    await invariants.all_hold(deployment, ids)
    async with deployment.database() as connection:
        stored = await bytes_in_rows(connection)
        assert stored[ada] > 0
        assert await bytes_counted(connection) == stored
    assert await _unfinished_rows(deployment, ada) == 0
    async with _api(deployment) as api:

        async def is_folded() -> bool:
            return (await _use(api, ada))["stored_bytes"] == stored[ada]

        await until(is_folded, seconds=30)
        assert (await _use(api, ada))["unfinished_requests"] == 0


async def test_an_api_that_starts_again_admits_what_the_rows_leave_room_for(
    deployment: Deployment, load: Load, ada: UUID
) -> None:
    ids: set[int] = set()
    for part in ("listener", "celery", "results"):
        deployment.system.part(part).suspend()
    try:
        async with _api(deployment) as api:
            posting = asyncio.create_task(_post_until_broken(api, ada, load.urls, ids))
            await until(lambda: len(ids) >= LIMIT // 2, seconds=20)
            api.process.kill()
            await posting
        async with _api(deployment) as api, api.client() as client:
            rows = await _unfinished_rows(deployment, ada)
            assert (await _use(api, ada))["unfinished_requests"] == rows
            body = {"url": load.urls[0]}
            answers = [
                await client.post("/parse_async", json=body, headers=_as(ada))
                for _ in range(LIMIT + 5)
            ]
            accepted = [answer for answer in answers if answer.status_code == 202]
            ids |= {answer.json()["request_id"] for answer in accepted}
            assert len(accepted) == LIMIT - rows
            assert {answer.status_code for answer in answers[len(accepted) :]} == {429}
            assert await _unfinished_rows(deployment, ada) == LIMIT
    finally:
        for part in ("listener", "celery", "results"):
            deployment.system.part(part).resume()
    await invariants.all_hold(deployment, ids)


async def test_a_deletion_survives_kills_of_the_worker_and_leaves_nothing(
    deployment: Deployment, load: Load, ada: UUID
) -> None:
    bob = uuid4()
    async with deployment.database() as connection:
        for owner in (ada, bob):
            await connection.execute(
                "INSERT INTO parse_requests (url, status, owner_id, html_content) SELECT $2,"
                " 'success', $1, '<p>' FROM generate_series(1, 4000)",
                *(owner, load.urls[0]),
            )
            await connection.execute("INSERT INTO stored_bytes VALUES ($1, 12000)", owner)
    ids: set[int] = set()
    async with _api(deployment) as api:
        posting = asyncio.create_task(_post_until_broken(api, ada, load.urls, ids))
        await until(lambda: len(ids) >= LIMIT, seconds=20)
        database = Database(read_database_url(deployment.postgres.url), timeout=5)
        async with database.transaction() as session:
            await request_deletion(session, ada)
        await asyncio.sleep(1)  # a process may know the owner for so long
        api.process.kill()
        await posting
    left = [4_000]
    for _ in range(3):
        await until(lambda: _are_fewer(deployment, ada, left), seconds=60)
        deployment.system.kill("worker")
    await until(lambda: _has_none(deployment, ada), seconds=120)
    await until(lambda: _is_done(deployment, ada), seconds=90)
    async with deployment.database() as connection:
        count = "SELECT count(*) FROM parse_requests WHERE owner_id = $1"
        assert await connection.fetchval(count, ada) == 0
        assert await connection.fetchval(count, bob) == 4_000

        async def agree() -> bool:
            counted = await bytes_counted(connection)
            return (counted.get(ada, 0), counted[bob]) == (0, 12_000)

        await until(agree)
    await deployment.until_ready()
    await invariants.nothing_is_left(deployment)
    await database.dispose()


async def _rows(deployment: Deployment, owner: UUID) -> int:
    await asyncio.sleep(0.1)
    async with deployment.database() as connection:
        query = "SELECT count(*) FROM parse_requests WHERE owner_id = $1"
        return int(await connection.fetchval(query, owner))


async def _are_fewer(deployment: Deployment, owner: UUID, left: list[int]) -> bool:
    now = await _rows(deployment, owner)
    if now < left[-1]:
        left.append(now)
        return True
    return False


async def _has_none(deployment: Deployment, owner: UUID) -> bool:
    return await _rows(deployment, owner) == 0


async def _is_done(deployment: Deployment, owner: UUID) -> bool:
    await asyncio.sleep(0.5)
    async with deployment.database() as connection:
        query = "SELECT done_at FROM owners_to_delete WHERE owner_id = $1"
        return await connection.fetchval(query, owner) is not None
