"""Services stop under load, one after another; and a service that hangs is restarted."""

import asyncio
import signal
from collections.abc import AsyncIterator
from functools import partial
from time import monotonic

import psutil
import pytest
import pytest_asyncio

from tests.support import invariants
from tests.support.deployment import Deployment, deployed
from tests.support.load import Load
from tests.support.system import PARTS
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRACE_SECONDS = 10


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    quick = {"LOST_AFTER": "6", "FETCH_TIMEOUT": "5", "RETRY_DELAY": "0.5", "WATCH_SECONDS": "20"}
    async with deployed(tmp_path_factory.mktemp("stop"), **quick) as opened:
        yield opened


async def _restart(deployment: Deployment, name: str) -> float:
    """Stop a service, wait until it runs again, and return the seconds that stopping took."""
    process = deployment.system.service(name)
    assert process is not None
    started = monotonic()
    deployment.system.terminate(name)
    await until(lambda: not process.is_running(), seconds=20)
    stopped = monotonic() - started
    await deployment.until_ready()
    return stopped


async def test_a_rolling_restart_under_load_fails_no_request(
    deployment: Deployment, load: Load
) -> None:
    async with load.steady(clients=8, pause=0.02):
        for name in ("api", "parser", "worker", "beat"):
            assert await _restart(deployment, name) < GRACE_SECONDS, name
    assert not load.broken
    assert set(load.answers) <= {"200", "202"}
    await invariants.all_hold(deployment, load.ids)


async def test_a_parser_that_is_stopped_hands_back_what_it_cannot_finish(
    deployment: Deployment, load: Load
) -> None:
    late = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>late</title>"
    first = deployment.site.raw("/late", late, delay=4.5)
    load.urls = [first, first.replace("127.0.0.1", "127.0.0.2")]
    ids = await load.submit(6)
    await until(lambda: deployment.site.count("/late") == 6)
    assert await _restart(deployment, "parser") < GRACE_SECONDS
    await invariants.all_hold(deployment, ids)
    async with deployment.database() as connection:
        attempts = await connection.fetch(
            "SELECT status, attempts FROM parse_requests WHERE id = ANY($1)", ids
        )
    assert {(row["status"], row["attempts"]) for row in attempts} == {("success", 1)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "service"),
    [
        ("celery", "worker"),
        ("results", "worker"),
        ("listener", "parser"),
        ("parser-http", "parser"),
        ("api", "api"),
        ("beat", "beat"),
    ],
)
async def test_a_process_that_lives_and_does_nothing_is_noticed_and_restarted(
    deployment: Deployment, load: Load, part: str, service: str
) -> None:
    hanging = deployment.system.part(part)
    deployment.system.ended_on_purpose[service] += 1
    hanging.send_signal(signal.SIGSTOP)
    asking = asyncio.create_task(load.submit(20))
    await until(lambda: not hanging.is_running(), seconds=60)
    await deployment.until_ready()
    if part == "api":
        await asyncio.wait([asking])  # requests that the API had accepted are cut off
        assert asking.exception() is None or "disconnected" in str(asking.exception())
    else:
        await asking
    await load.submit(20)
    await invariants.all_hold(deployment, load.ids)


def _is_gone(process: psutil.Process) -> bool:
    return not process.is_running()


@pytest.mark.slow
@pytest.mark.parametrize(("part", "service"), [("celery", "worker"), ("api", "api")])
async def test_a_process_that_hangs_in_its_beginning_is_noticed_and_restarted(
    deployment: Deployment, load: Load, part: str, service: str
) -> None:
    before = deployment.system.part(part)
    deployment.system.kill(service)
    await until(partial(_is_gone, before))
    hanging = (await until(lambda: deployment.system.processes(*PARTS[part]), seconds=30))[0]
    hanging.send_signal(signal.SIGSTOP)
    deployment.system.ended_on_purpose[service] += 1
    await until(partial(_is_gone, hanging), seconds=60)
    await load.submit(20)
    await invariants.all_hold(deployment, load.ids)


@pytest.mark.slow
async def test_half_a_pair_that_ends_takes_a_hanging_half_with_it(
    deployment: Deployment, load: Load
) -> None:
    for dies, hangs, service in (
        ("results", "celery", "worker"),
        ("parser-http", "listener", "parser"),
    ):
        await deployment.until_ready()
        hanging = deployment.system.part(hangs)
        hanging.send_signal(signal.SIGSTOP)
        deployment.system.part(dies).kill()
        deployment.system.ended_on_purpose[service] += 1
        await until(partial(_is_gone, hanging), seconds=30)
    await deployment.until_ready()
    await load.submit(20)
    await invariants.all_hold(deployment, load.ids)
