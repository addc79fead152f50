"""Run and time the stages of a job that belong to the API and its worker."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import TypeVar

import psutil
import redis.asyncio as aioredis
from starlette.types import Message

from api_service.assembly.worker import WorkerContext
from api_service.celery_app import broker_options, celery_app
from api_service.config import Settings
from api_service.database import Database
from api_service.dependencies import provided
from api_service.edge.anonymous import AnonymousAccess
from api_service.edge.door import Door
from api_service.edge.request_rates import RequestRates
from api_service.main import create_app
from api_service.process.collaborators import CollaboratorRegistry
from api_service.queueing.enqueue import Publisher
from api_service.repository import NewRequest, ParseRequestRepository
from api_service.responses import AcceptedAnswer
from api_service.service import ParseRequestService
from api_service.status_enum import StatusEnum
from benchmarks.stopwatch import Stopwatch
from benchmarks.system import ROOT, TASKS

T = TypeVar("T")

BATCH_BYTES = 16 * 1024 * 1024
OPTIONS = {"respect_robots": False, "title_fallback": False}
WORKERS = f"{TASKS}:workers"
HOST = (b"host", b"127.0.0.1:8000")


def split(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Split items into slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class _AcceptsEverything:
    """Accept every request and do nothing, in place of the service."""

    async def submit(self, *_: object, **__: object) -> AcceptedAnswer:
        return AcceptedAnswer(request_id=1, status=StatusEnum.PENDING)


def _laptops_door() -> Door:
    """Let in callers without an account, of whom nothing is counted in Redis."""
    return Door(
        access=AnonymousAccess.of(Settings(api_host="127.0.0.1")),
        rates=RequestRates(aioredis.Redis(), name_key=str),
        lookup=None,
        metrics_token=None,
    )


async def read_requests(watch: Stopwatch, urls: Sequence[str]) -> None:
    """Time a POST from its body to its answer, without the HTTP server and the service."""
    app = create_app()
    app.state.collaborators = CollaboratorRegistry(_laptops_door())
    app.dependency_overrides[provided(ParseRequestService)] = _AcceptsEverything
    statuses = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    for url in urls:
        body = f'{{"url": "{url}"}}'.encode()

        async def receive(body: bytes = body) -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/parse_async",
            "raw_path": b"/parse_async",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"content-type", b"application/json"), (b"accept", b"*/*"), HOST],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
        }
        if not statuses:
            await app(dict(scope), receive, send)  # the first call builds what later calls reuse
        with watch.stage("HTTP in: validation, answer, log line", 1):
            await app(scope, receive, send)
    assert set(statuses) == {202}, set(statuses)


async def insert(
    watch: Stopwatch, database: Database, urls: Sequence[str], batch: int
) -> list[int]:
    """Time the insertion of rows, commit included; return their ids."""
    ids: list[int] = []
    for some in split(urls, batch):
        requests = [NewRequest(url, "0123456789abcdef", dict(OPTIONS)) for url in some]
        with watch.stage("insert", len(some)):
            async with database.transaction() as session:
                ids += await ParseRequestRepository(session).add_all(requests)
    return ids


async def publish(
    watch: Stopwatch, settings: Settings, ids: Sequence[int], urls: Sequence[str], batch: int
) -> None:
    """Time the publishing of Celery messages."""
    publisher = Publisher(celery_app, timeout=10, broker_options=broker_options(settings))
    await publisher.publish_request(0, "", None)  # opens the connection; 0 is the id of no row
    for some in split(list(zip(ids, urls, strict=True)), batch):
        with watch.stage("publish", len(some)):
            calls = [
                publisher.publish_request(number, url, "0123456789abcdef") for number, url in some
            ]
            assert all(await asyncio.gather(*calls))
    await publisher.close()


class Worker:
    """Run a Celery worker that stays suspended until its messages are published."""

    def __init__(self, context: WorkerContext, environment: dict[str, str], log: object) -> None:
        self._context = context
        command = [sys.executable, "-m", "api_service.worker"]
        self._process = subprocess.Popen(  # type: ignore[call-overload] # a file
            command, cwd=ROOT, env=environment, stdout=log, stderr=log
        )

    async def hold(self, redis: aioredis.Redis) -> None:
        """Wait until it consumes, then suspend it."""
        name = f"{socket.gethostname()}:{self._process.pid}"
        while await redis.zscore(WORKERS, name) is None:
            await asyncio.sleep(0.1)
        psutil.Process(self._process.pid).suspend()

    async def consume(self, watch: Stopwatch, jobs: int) -> None:
        """Resume it, and time it until it has marked all rows and pushed all jobs."""
        process = psutil.Process(self._process.pid)
        before, started = sum(process.cpu_times()[:2]), perf_counter()
        process.resume()
        while (await self._context.census.read_depths()).jobs < jobs:
            await asyncio.sleep(0.01)
        clock = perf_counter() - started
        cpu = sum(process.cpu_times()[:2]) - before
        watch.add("Celery: message, row `processing`, push", jobs, cpu=cpu, clock=clock)

    def stop(self) -> None:
        """Stop it, suspended or not."""
        self._process.terminate()
        psutil.Process(self._process.pid).resume()
        self._process.wait()


async def record(watch: Stopwatch, context: WorkerContext, jobs: int, batch: int) -> None:
    """Time the persisting of announced results, in the steps of `ResultLoop`."""
    done = 0
    while done < jobs:
        started = perf_counter()
        taken = await context.results.fill_up_taken_announcements(
            limit=batch, max_bytes=BATCH_BYTES
        )
        assert taken, f"{done} of {jobs} results after {perf_counter() - started:.0f} s"
        with watch.stage("read results", len(taken)):
            results = await context.results.read([announced.id for announced in taken])
        with watch.stage("persist", len(taken)):
            await context.endings.record(results)
        with watch.stage("delete results", len(taken)):
            await context.results.acknowledge(taken, list(results))
        done += len(taken)
