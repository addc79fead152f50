"""The clock of a service is set, an hour forward or back."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import invariants
from tests.support.clocks import WORDS, Clocks, can_shift_clocks
from tests.support.deployment import Deployment, deployed
from tests.support.load import Load
from tests.support.waiting import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.skipif(not can_shift_clocks(), reason="needs a C compiler, to shift clocks"),
]

HOUR = 3600


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> Clocks:
    return Clocks(tmp_path_factory.mktemp("clocks"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(
    tmp_path_factory: pytest.TempPathFactory, clocks: Clocks
) -> AsyncIterator[Deployment]:
    environment = {
        "LOST_AFTER": "6",
        "FETCH_TIMEOUT": "5",
        "WATCH_SECONDS": "15",
        **clocks.environment,
    }
    async with deployed(tmp_path_factory.mktemp("shifted"), **environment) as opened:
        yield opened


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
@pytest.mark.parametrize("word", WORDS)
async def test_a_clock_that_jumps_by_an_hour_changes_nothing(
    deployment: Deployment, load: Load, clocks: Clocks, word: str, seconds: int
) -> None:
    async def is_taken_up(request_id: int) -> bool:
        async with deployment.database() as connection:
            status = await connection.fetchval(
                "SELECT status FROM parse_requests WHERE id = $1", request_id
            )
        return status in ("success", "failure")

    with clocks.shifted(word, seconds):
        async with load.steady(clients=2):
            await asyncio.sleep(3)
        # Only the sweep can find a row without a message, whatever the hour.
        async with deployment.database() as connection:
            stranded = await connection.fetchval(
                "INSERT INTO parse_requests (url) VALUES ($1) RETURNING id", load.urls[0]
            )
        await until(lambda: is_taken_up(stranded), seconds=60)
        await invariants.all_hold(deployment, [*load.ids, stranded])
    assert not load.undeclared
    assert not load.broken
