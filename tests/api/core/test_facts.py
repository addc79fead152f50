"""The facts of a page in their column, and those that an older version wrote into columns."""

import json
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.page.facts import PageFacts
from api_service.parser_client.messages import read_result
from tests.support.migrations import alembic, upgrade
from tests.support.rows import add_request
from tests.support.servers import dsn

FACTS = {
    "title_source": "title",
    "metadata": {"language": "en", "json_ld": [{"@type": "Article", "a": None, "b": [1.5]}]},
    "final_url": "https://a.example/b",
    "redirects": [{"url": "https://a.example/", "status": 301}],
    "http_status": 200,
    "content_type": "text/html",
    "charset": "utf-8",
    "bytes": 16,
    "elapsed_ms": 12,
    "fetched_at": "2026-01-02T03:04:05.123456Z",
}
OLDER = (
    "INSERT INTO parse_requests (url, status, title, html_content, title_source, metadata,"
    " final_url, redirects, http_status, content_type, charset, bytes, elapsed_ms, fetched_at)"
    " VALUES ('https://a.example/', 'success', 'A', '<p>', $1, $2, $3, $4, $5, $6, $7, $8, $9,"
    " $10) RETURNING id"
)


def _columns() -> list[object]:
    in_json = {"metadata", "redirects"}
    values: list[object] = [
        json.dumps(value) if name in in_json else value for name, value in FACTS.items()
    ]
    values[-1] = datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    return values


async def _persist(jobs: WorkerContext, database: Database) -> int:
    async with database.transaction() as session:
        request_id = await add_request(session)
    await jobs.handover.start([request_id])
    message = json.dumps({"status": "success", "title": "A", "html": "<p>"} | FACTS)
    await jobs.endings.record({request_id: read_result(message.encode())})
    return request_id


async def test_a_row_of_an_older_version_answers_as_one_of_this(
    client: httpx.AsyncClient,
    connection: asyncpg.Connection,
    jobs: WorkerContext,
    database: Database,
) -> None:
    older = await connection.fetchval(OLDER, *_columns())
    answers = []
    for request_id in (older, await _persist(jobs, database)):
        answer = (await client.get(f"/result/{request_id}")).json()
        assert answer.pop("request_id") == request_id
        answers.append(answer)
    assert answers[0] == answers[1]
    assert answers[0]["fetched_at"] == FACTS["fetched_at"]
    assert answers[0]["metadata"]["json_ld"] == FACTS["metadata"]["json_ld"]  # type: ignore[index]


async def test_all_facts_are_in_the_one_column(
    connection: asyncpg.Connection, jobs: WorkerContext, database: Database
) -> None:
    request_id = await _persist(jobs, database)
    row = await connection.fetchrow("SELECT * FROM parse_requests WHERE id = $1", request_id)
    assert PageFacts.model_validate_json(row["facts"]) == PageFacts.model_validate(FACTS)
    assert [row[name] for name in FACTS] == [None] * len(FACTS)


async def test_a_page_without_facts_answers_with_nulls(
    client: httpx.AsyncClient, jobs: WorkerContext, database: Database
) -> None:
    async with database.transaction() as session:
        request_id = await add_request(session)
    await jobs.handover.start([request_id])
    plain = b'{"status": "success", "title": "A", "html": "<p>"}'
    await jobs.endings.record({request_id: read_result(plain)})
    answer = (await client.get(f"/result/{request_id}")).json()
    assert {answer[name] for name in PageFacts.model_fields} == {None}


async def test_the_way_back_gives_the_older_version_its_facts(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    connection = await asyncpg.connect(dsn(empty_database_url))
    await connection.execute(
        "INSERT INTO parse_requests (url, status, title, html_content, facts)"
        " VALUES ('https://a.example/', 'success', 'A', '<p>', $1)",
        json.dumps(FACTS),
    )
    assert alembic(empty_database_url, "downgrade", "0003").returncode == 0
    row = await connection.fetchrow("SELECT * FROM parse_requests")
    await connection.close()
    found = dict(row) | {name: json.loads(row[name]) for name in ("metadata", "redirects")}
    expected = FACTS | {"fetched_at": _columns()[-1]}
    assert {name: found[name] for name in FACTS} == expected
    assert "facts" not in found


@pytest.mark.parametrize("name", ["bytes", "elapsed_ms", "http_status"])
async def test_a_number_beyond_its_bounds_is_left_out(
    client: httpx.AsyncClient, jobs: WorkerContext, database: Database, name: str
) -> None:
    async with database.transaction() as session:
        request_id = await add_request(session)
    await jobs.handover.start([request_id])
    message = {"status": "success", "title": "A", "html": "<p>"} | FACTS | {name: 10**12}
    await jobs.endings.record({request_id: read_result(json.dumps(message).encode())})
    answer = (await client.get(f"/result/{request_id}")).json()
    assert answer[name] is None
    assert answer["charset"] == "utf-8"
