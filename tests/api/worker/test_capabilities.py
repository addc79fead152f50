"""A made-up capability does all that the rooms to come need, in processes as they are started."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import asyncpg
import httpx
import pytest

from api_service.assembly import worker
from api_service.assembly.worker import open_worker
from api_service.capabilities import Capability
from api_service.config import Settings
from api_service.process.collaborators import CollaboratorRegistry
from local.addresses import free_port
from parser_service.redis_queue.job_queue import JobQueue
from tests.support.system import ROOT
from tests.support.waiting import until

ROUTES = """
    from typing import Annotated

    from fastapi import APIRouter, Depends

    from api_service.dependencies import CurrentCaller, TraceId, provided
    from api_service.endings.service import Endings
    from api_service.parser_client.messages import FailureResult
    from api_service.queueing.enqueue import Publisher
    from api_service.requests import ClientOptions
    from api_service.service import ParseRequestService

    Publishing = Annotated[Publisher, Depends(provided(Publisher))]
    Service = Annotated[ParseRequestService, Depends(provided(ParseRequestService))]
    Ends = Annotated[Endings, Depends(provided(Endings))]
    router = APIRouter()


    @router.post("/counts")
    async def count_later(publisher: Publishing, trace_id: TraceId) -> bool:
        return await publisher.send("counting.count", [7], trace_id=trace_id)


    @router.post("/counts/pages")
    async def count_page(service: Service, caller: CurrentCaller, trace_id: TraceId) -> int:
        accepted = await service.submit(
            caller,
            "https://a.example/",
            options=ClientOptions(),
            trace_id=trace_id,
            kind="counting.page",
        )
        return accepted.request_id


    @router.post("/counts/pages/{request_id}/end")
    async def end_page(request_id: int, endings: Ends) -> None:
        await endings.record({request_id: FailureResult(status="failure", error="Enough.")})
"""
RECORDER = """
    from api_service.endings.attempts import SucceededAttempt
    from api_service.endings.repository import EndingRepository


    async def record_counts(session, results):
        raw = await (await session.connection()).get_raw_connection()
        for request_id, result in results.items():
            await raw.driver_connection.execute("INSERT INTO counted VALUES ($1)", request_id)
        return await EndingRepository(session).mark_success(
            [
                SucceededAttempt(i, result.token, "counted", result.html, result.facts)
                for i, result in results.items()
            ]
        )
"""
TASKS = """
    from api_service.celery_app import celery_app
    from api_service.database import Database
    from api_service.process.collaborators import CollaboratorRegistry
    from api_service.process.current import current_worker
    from counting.wiring import Counter


    async def count(here: CollaboratorRegistry, number: int) -> None:
        async with here.get(Database).transaction() as session:
            raw = await (await session.connection()).get_raw_connection()
            await raw.driver_connection.execute(here.get(Counter).statement, number)


    @celery_app.task(name="counting.count")
    def count_once(number: int = 0) -> None:
        current_worker().run_or_log_outage(lambda here: count(here, number))
"""
WIRING = """
    from contextlib import asynccontextmanager


    class Counter:
        statement = "INSERT INTO counted VALUES ($1)"


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
    from counting.recorder import record_counts
    from counting.wiring import open_counting


    def router():
        from counting.routes import router

        return router


    counting = Capability(
        name="counting",
        router=router,
        open_worker=open_counting,
        recorders={"counting.page": record_counts},
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
COUNTED = "SELECT number FROM counted"
CELERY = ("celery", "-A", "api_service.celery_app")
WORKER = ("worker", "--pool=solo", "--queues=api,api.control")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Write a capability into a folder of its own."""
    modules = {"routes": ROUTES, "recorder": RECORDER, "tasks": TASKS, "wiring": WIRING}
    for name, text in {"__init__": "", "run": RUN, **modules}.items():
        file = tmp_path / "counting" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(dedent(text))
    return tmp_path


def _environment(package: Path, settings: Settings) -> dict[str, str]:
    return {
        "API_HOST": "127.0.0.1",
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PYTHONPATH": f"{package}:{ROOT}",
    }


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
    await connection.execute("CREATE TABLE counted (number bigint)")
    environment = _environment(package, settings)
    file = str(package / "schedule")
    beat = [argument.format(file=file) for argument in beat_arguments]

    async def counted_twice() -> bool:
        return int(await connection.fetchval("SELECT count(*) FROM counted")) >= 2

    async with _running(worker_arguments, **environment), _running(beat, **environment):
        await until(counted_twice, seconds=30)


async def test_a_capability_sends_its_task_submits_records_and_ends_requests_of_its_kind(
    package: Path, settings: Settings, connection: asyncpg.Connection, parser: JobQueue
) -> None:
    await connection.execute("CREATE TABLE counted (number bigint)")
    environment = _environment(package, settings)
    port = free_port()
    api = ("uvicorn", "api_service.main:app", "--port", str(port))
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False)

    async def post(path: str) -> Any:
        response = await client.post(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def is_up() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await client.get("/health")).status_code == 200
        return False

    async def taken() -> dict[str, Any] | None:
        jobs = await parser.take(1)
        return json.loads(jobs[0].raw) if jobs else None

    async def counted(number: int) -> bool:
        return number in {row["number"] for row in await connection.fetch(COUNTED)}

    async with (
        client,
        _running(api, **environment),
        _running(("api_service.worker",), **environment),
        _running(("api_service.worker.results",), **environment),
    ):
        await until(is_up, seconds=30)
        assert await post("/counts") is True
        await until(lambda: counted(7), seconds=30)

        first, second = await post("/counts/pages"), await post("/counts/pages")
        jobs = [await until(taken, seconds=10) for _ in range(2)]
        assert [(job["id"], job["kind"]) for job in jobs] == [
            (first, "counting.page"),
            (second, "counting.page"),
        ]
        result = {"status": "success", "title": "A", "html": "<p>"}
        result |= {name: jobs[0][name] for name in ("token", "kind")}
        names = {name: jobs[0][name] for name in ("token", "reply")}
        await parser.finish(first, json.dumps(result).encode(), **names)

        await post(f"/counts/pages/{second}/end")
        ends = [await client.get(f"/result/{i}?wait=10") for i in (first, second)]
    assert [(end.json()["status"], end.json()["title"]) for end in ends] == [
        ("success", "counted"),
        ("failure", None),
    ]
    assert await counted(first)
    assert not await counted(second)


async def test_what_a_capability_opens_for_its_tasks_is_closed_with_the_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    @contextlib.asynccontextmanager
    async def open_it(_: Settings, collaborators: CollaboratorRegistry) -> AsyncIterator[None]:
        collaborators.add(events)
        events.append("open")
        yield
        events.append("closed")

    monkeypatch.setattr(worker, "CAPABILITIES", (Capability(name="it", open_worker=open_it),))
    async with open_worker(settings) as context:
        assert context.collaborators.get(list) == ["open"]
    assert events == ["open", "closed"]
