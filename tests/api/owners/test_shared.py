"""What callers share (statements, notices, log lines) tells none of another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import structlog

from api_service.assembly.worker import WorkerContext
from api_service.caller import Caller, CallerLimits
from api_service.database import Database
from api_service.dependencies import current_caller
from api_service.endings.wakeups import STATUS_RECHECK_SECONDS
from api_service.owners.repository import OwnerCount
from api_service.owners.use import CallerUse
from api_service.parser_client.messages import SuccessResult
from api_service.queueing.batching import Batcher
from benchmarks.api_of_callers import caller_in_header
from tests.support.app_client import AppClient, OpenApp

ADA, BOB = uuid4(), uuid4()
CALLERS = (None, ADA, BOB)
PAGE = SuccessResult(status="success", title="A", html="<p>")


@pytest.fixture
async def client(open_api: OpenApp) -> AsyncIterator[AppClient]:
    async with open_api() as opened:
        opened.app.dependency_overrides[current_caller] = caller_in_header
        yield opened


def _as(owner: UUID | None) -> dict[str, str]:
    return {"x-owner": str(owner), "x-limit": "1000"} if owner else {}


async def _post(client: httpx.AsyncClient, owner: UUID | None, url: str) -> httpx.Response:
    return await client.post("/parse_async", json={"url": url}, headers=_as(owner))


async def test_what_is_stored_for_several_callers_at_once_does_not_mix(
    client: AppClient, connection: asyncpg.Connection
) -> None:
    asked = [(CALLERS[n % 3], f"https://a.example/{n}") for n in range(60)]
    answers = await asyncio.gather(*(_post(client, owner, url) for owner, url in asked))
    stored = await connection.fetch("SELECT id, owner_id, url FROM parse_requests")
    rows = {row["id"]: (row["owner_id"], row["url"]) for row in stored}
    assert [rows[answer.json()["request_id"]] for answer in answers] == asked


@pytest.mark.parametrize(
    "url", ["https://a.example/\0", "https://a.example/\ud800", "https://a.example/\U0010ffff"]
)
async def test_what_one_caller_sends_fails_nobody_else_in_the_same_statement(
    client: AppClient, url: str
) -> None:
    body = b'{"url": "%s"}' % url.encode("unicode-escape").replace(b"\\x00", b"\\u0000")
    good = [_post(client, ADA, f"https://a.example/{n}") for n in range(20)]
    bad = [
        client.post(
            "/parse_async",
            content=body,
            headers=_as(BOB) | {"content-type": "application/json", "x-request-id": "x" * 300},
        )
        for _ in range(20)
    ]
    both = [call for pair in zip(good, bad, strict=True) for call in pair]
    answers = await asyncio.gather(*both)
    assert {answer.status_code for answer in answers[::2]} == {202}
    assert {answer.status_code for answer in answers[1::2]} <= {202, 422}


async def test_waiting_for_another_callers_request_ends_at_once_and_before_its_end(
    client: AppClient, jobs: WorkerContext
) -> None:
    request_id = (await _post(client, ADA, "https://a.example/")).json()["request_id"]
    for path in ("status", "result"):
        async with asyncio.timeout(STATUS_RECHECK_SECONDS / 2):
            answer = await client.get(f"/{path}/{request_id}?wait=20", headers=_as(BOB))
            nothing = await client.get(f"/{path}/{request_id + 9}?wait=20", headers=_as(BOB))
        assert (answer.status_code, answer.json()) == (404, nothing.json())
    polls = [
        asyncio.create_task(client.get(f"/status/{request_id}?wait=20", headers=_as(owner)))
        for owner in (ADA, BOB, None)
    ]
    await asyncio.sleep(0.1)
    await jobs.handover.hand_over_pending([request_id])
    await jobs.endings.record({request_id: PAGE})
    assert [(await poll).status_code for poll in polls] == [200, 404, 404]


async def test_a_wait_that_a_notice_ends_reads_with_its_owner_again(
    client: AppClient, connection: asyncpg.Connection
) -> None:
    """A notice has a bare id: nothing but the row says whose it is."""
    request_id = (await _post(client, ADA, "https://a.example/")).json()["request_id"]
    poll = asyncio.create_task(client.get(f"/status/{request_id}?wait=20", headers=_as(ADA)))
    await asyncio.sleep(0.2)
    await connection.execute(
        "UPDATE parse_requests SET owner_id = $2 WHERE id = $1", request_id, BOB
    )
    await connection.execute("SELECT pg_notify('parse_requests_ended', $1)", str(request_id))
    async with asyncio.timeout(STATUS_RECHECK_SECONDS / 2):
        assert (await poll).status_code == 404


async def test_counts_of_several_callers_in_one_statement_do_not_mix(
    database: Database, connection: asyncpg.Connection
) -> None:
    owners = [uuid4() for _ in range(20)]
    for number, owner in enumerate(owners):
        await connection.execute(
            "INSERT INTO parse_requests (url, owner_id) SELECT '', $1 FROM generate_series(1, $2)",
            *(owner, number),
        )
        await connection.execute("INSERT INTO stored_bytes VALUES ($1, $2)", owner, number * 10)
    use = CallerUse(database, timeout=5)
    asked = [Caller(owner, limits=CallerLimits(1000)) for owner in owners]
    found = await asyncio.gather(*(use.read(caller) for caller in asked))
    counted = [(one.unfinished_requests, one.stored_bytes) for one in found]
    assert counted == [(number, number * 10) for number in range(20)]


async def test_what_is_done_for_several_callers_is_logged_as_nobodys() -> None:
    """Log lines within a batch must not have the trace of the caller who happened to begin it."""
    seen: list[dict[str, object]] = []

    async def run(items: Sequence[int]) -> Sequence[int]:
        seen.append(structlog.contextvars.get_contextvars())
        return items

    batcher: Batcher[int, int] = Batcher(run, limit=10, timeout=5)
    with structlog.contextvars.bound_contextvars(trace_id="of Ada", request_id=1):
        assert await batcher.submit(1) == 1
    assert seen == [{}]


async def test_a_count_that_fails_is_logged_as_nobodys(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    use = CallerUse(database, timeout=5)
    seen: list[dict[str, object]] = []

    async def count(_: Sequence[OwnerCount]) -> Sequence[OwnerCount]:
        seen.append(structlog.contextvars.get_contextvars())
        raise TimeoutError

    monkeypatch.setattr(use._counts, "_run", count)
    with (
        structlog.testing.capture_logs(
            processors=[structlog.contextvars.merge_contextvars]
        ) as lines,
        structlog.contextvars.bound_contextvars(trace_id="of Ada"),
        pytest.raises(Exception, match="does not answer"),
    ):
        await use.read(Caller(ADA))
    await asyncio.sleep(0)
    assert seen == [{}]
    assert [line.get("trace_id") for line in lines] == [None]
    assert str(ADA) not in str(lines)
