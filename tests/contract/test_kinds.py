"""A kind of job goes from its request through a parser to its recorder."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_network
from typing import Any

import asyncpg
import pytest
import redis.asyncio as aioredis

from api_service import config as api_config
from api_service.assembly.worker import WorkerContext, open_worker
from api_service.database import Session
from api_service.endings.attempts import AttemptOutcome, SucceededAttempt
from api_service.endings.repository import EndingRepository
from api_service.endings.service import CORE_RECORDERS
from api_service.parser_client.messages import FailureResult, SuccessResult, read_result
from api_service.repository import NewRequest, ParseRequestRepository
from api_service.worker.result_loop import build_result_loop
from parser_service import config as parser_config
from parser_service.exceptions import ConnectError
from parser_service.jobs.access import JobAccess
from parser_service.jobs.outcome import encode_page
from parser_service.jobs.runnable import RunnableJob
from parser_service.jobs.runners import RUNNER_BY_KIND
from parser_service.page import PageOptions
from parser_service.pipeline import PagePipeline
from tests.support.keys import QUEUE
from tests.support.listening import listening
from tests.support.servers import dsn
from tests.support.site import Site
from tests.support.time_travel import pass_time
from tests.support.waiting import until

LISTING = "listing"


class ListingRunner:
    """Fails once, in a way that may pass; then lists a page instead of reading it."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(
        self, runnable: RunnableJob, pipeline: PagePipeline, access: JobAccess
    ) -> bytes:
        self.runs += 1
        if self.runs == 1:
            raise ConnectError
        options = PageOptions.of(runnable.job)
        page = await pipeline.run(runnable.url, access=access, options=options)
        return await encode_page(page.model_copy(update={"html": "1. one"}), runnable.job)


async def record_listings(
    session: Session, results: Mapping[int, SuccessResult]
) -> list[AttemptOutcome]:
    return await EndingRepository(session).mark_success(
        [
            SucceededAttempt(i, result.token, f"List: {result.title}", result.html, result.facts)
            for i, result in results.items()
        ]
    )


@contextlib.asynccontextmanager
async def _persisting(context: WorkerContext) -> AsyncIterator[None]:
    loop = build_result_loop(context)
    running = asyncio.create_task(loop.run())
    try:
        yield
    finally:
        loop.request_stop()
        await running


async def test_a_kind_goes_from_its_request_through_its_runner_to_its_recorder(
    database_url: str, redis_url: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RUNNER_BY_KIND, LISTING, ListingRunner())
    monkeypatch.setitem(CORE_RECORDERS, LISTING, record_listings)
    url = site.page("/", "<title>A</title>")
    parser_settings = parser_config.Settings(
        redis_url=redis_url,
        fetch_allowed_networks=(ip_network("127.0.0.0/8"),),
        fetch_allowed_ports=frozenset({site.port}),
    )
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        context = await enter(
            open_worker(api_config.Settings(database_url=database_url, redis_url=redis_url))
        )
        redis = await enter(aioredis.Redis.from_url(redis_url, decode_responses=True))
        connection = await asyncpg.connect(dsn(database_url))
        stack.push_async_callback(connection.close)
        requests = [
            NewRequest(url, options={"title_fallback": True}, kind=LISTING),
            NewRequest(url, options={"title_fallback": True}),
        ]
        async with context.database.transaction() as session:
            listing, page = await ParseRequestRepository(session).add_all(requests)
        await context.handover.hand_over_pending([listing, page])
        jobs = {job["id"]: job for job in map(json.loads, await redis.lrange(QUEUE, 0, -1))}
        assert jobs[listing]["kind"] == LISTING
        assert "kind" not in jobs[page]

        async def found(where: str) -> bool:
            query = f"SELECT count(*) FROM parse_requests WHERE {where}"
            return bool(await connection.fetchval(query))

        await enter(listening(parser_settings))
        await enter(_persisting(context))
        await until(lambda: found("next_attempt_at IS NOT NULL"), seconds=10)
        await pass_time(connection, redis, 60)
        await context.sweep.run()
        await until(lambda: found("title LIKE 'List: %'"), seconds=10)
        await until(lambda: found("title = 'A'"), seconds=10)
        rows = await connection.fetch("SELECT id, title, html_content FROM parse_requests")
        assert {tuple(row) for row in rows} == {
            (listing, "List: A", "1. one"),
            (page, "A", "<title>A</title>"),
        }


@pytest.mark.parametrize(
    ("kind", "read_as"),
    [
        ({}, "page"),
        ({"kind": None}, "page"),
        ({"kind": 5}, "page"),
        ({"kind": ["listing"]}, "page"),
        ({"kind": "page"}, "page"),
        ({"kind": "of the future"}, "of the future"),
        ({"kind": ""}, ""),
    ],
)
@pytest.mark.parametrize("is_apart", [False, True])
def test_a_result_whose_kind_is_absent_or_not_a_string_is_a_page(
    kind: dict[str, Any], read_as: str, is_apart: bool
) -> None:
    message = {"status": "success", "title": "A", "html": "<p>", "token": "1-a"} | kind
    html = str(message["html"]) if is_apart else ""
    if is_apart:
        del message["html"]
    text = json.dumps(message)
    result = read_result(f"{len(text)}\n{text}{html}".encode() if is_apart else text.encode())
    assert isinstance(result, SuccessResult)
    assert (result.kind, result.html) == (read_as, "<p>")


def test_the_kind_of_a_failure_does_not_matter() -> None:
    for kind in (5, None, "of the future"):
        message = {"status": "failure", "error": "No.", "token": "1-a", "kind": kind}
        result = read_result(json.dumps(message).encode())
        assert isinstance(result, FailureResult)
        assert (result.error, result.token) == ("No.", "1-a")
