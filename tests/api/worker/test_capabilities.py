"""A capability's tasks and schedule run in the worker and in beat, however these are started."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from textwrap import dedent

import asyncpg
import pytest

from api_service.assembly import worker
from api_service.assembly.worker import open_worker
from api_service.capabilities import Capability
from api_service.config import Settings
from api_service.process.collaborators import Collaborators
from tests.support.system import ROOT
from tests.support.waiting import until

TASKS = """
    from api_service.celery_app import celery_app
    from api_service.database import Database
    from api_service.process.collaborators import Collaborators
    from api_service.process.current import current
    from counting.wiring import Counter


    async def count(here: Collaborators) -> None:
        async with here.get(Database).transaction() as session:
            raw = await (await session.connection()).get_raw_connection()
            await raw.driver_connection.execute(here.get(Counter).statement)


    @celery_app.task(name="counting.count")
    def count_once() -> None:
        current().run(count)
"""
WIRING = """
    from contextlib import asynccontextmanager


    class Counter:
        statement = "INSERT INTO counted DEFAULT VALUES"


    @asynccontextmanager
    async def open_counting(settings, collaborators):
        collaborators.add(Counter())
        yield
"""
# Adds the capability to the list, then does what `python -m` would do with the arguments.
RUN = """
    import runpy
    import sys

    from api_service import capabilities
    from api_service.capabilities import Capability
    from api_service.celery_app import CONTROL_QUEUE, MonotonicInterval
    from counting.wiring import open_counting

    counting = Capability(
        name="counting",
        open_worker=open_counting,
        task_modules=("counting.tasks",),
        beat_schedule={
            "count": {
                "task": "counting.count",
                "schedule": MonotonicInterval(0.2),
                "options": {"queue": CONTROL_QUEUE},
            }
        },
    )
    capabilities.CAPABILITIES += (counting,)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
CELERY = ("celery", "-A", "api_service.celery_app")
WORKER = ("worker", "--pool=solo", "--queues=api,api.control")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Write a capability into a folder of its own."""
    for name, text in (("__init__", ""), ("tasks", TASKS), ("wiring", WIRING), ("run", RUN)):
        file = tmp_path / "counting" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(dedent(text))
    return tmp_path


@contextlib.asynccontextmanager
async def _running(arguments: Sequence[str], **environment: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "counting.run", *arguments), env=os.environ | environment
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("worker_arguments", "beat_arguments"),
    [
        (("api_service.worker",), ("api_service.worker.beat", "{file}")),
        ((*CELERY, *WORKER), (*CELERY, "beat", "--schedule={file}")),
    ],
    ids=["our entries", "Celery's command line"],
)
async def test_a_task_of_a_capability_runs_on_its_schedule(
    package: Path,
    settings: Settings,
    connection: asyncpg.Connection,
    worker_arguments: Sequence[str],
    beat_arguments: Sequence[str],
) -> None:
    await connection.execute("CREATE TABLE counted (number integer GENERATED ALWAYS AS IDENTITY)")
    environment = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PYTHONPATH": f"{package}:{ROOT}",
    }
    file = str(package / "schedule")
    beat = [argument.format(file=file) for argument in beat_arguments]

    async def counted_twice() -> bool:
        return int(await connection.fetchval("SELECT count(*) FROM counted")) >= 2

    async with _running(worker_arguments, **environment), _running(beat, **environment):
        await until(counted_twice, seconds=30)


async def test_what_a_capability_opens_for_its_tasks_is_closed_with_the_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    @contextlib.asynccontextmanager
    async def open_it(_: Settings, collaborators: Collaborators) -> AsyncIterator[None]:
        collaborators.add(events)
        events.append("open")
        yield
        events.append("closed")

    monkeypatch.setattr(worker, "CAPABILITIES", (Capability(name="it", open_worker=open_it),))
    async with open_worker(settings) as context:
        assert context.collaborators.get(list) == ["open"]
    assert events == ["open", "closed"]
