"""The facts of a page in their column, and those that an older version wrote into columns."""

import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.page.facts import PageFacts
from api_service.parser_client.messages import read_result
from tests.support.app_client import OpenApp
from tests.support.migrations import alembic, upgrade
from tests.support.rows import add_request
from tests.support.servers import dsn
from tests.support.site import Site

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


async def _persist(jobs: WorkerContext, database: Database, **changes: object) -> int:
    async with database.transaction() as session:
        request_id = await add_request(session)
    await jobs.handover.hand_over_pending([request_id])
    message = json.dumps({"status": "success", "title": "A", "html": "<p>"} | FACTS | changes)
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


async def test_a_fact_that_is_null_is_not_stored(
    connection: asyncpg.Connection, jobs: WorkerContext, database: Database
) -> None:
    request_id = await _persist(jobs, database, charset=None, metadata={"language": "en"})
    stored = json.loads(
        await connection.fetchval("SELECT facts FROM parse_requests WHERE id = $1", request_id)
    )
    assert stored.keys() == FACTS.keys() - {"charset"}
    assert None not in stored["metadata"].values()


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05.5", "2026-01-02T03:04:05.500000Z"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+05:30", "2026-01-01T21:34:05Z"),
        ("2026-12-31T23:00:00-02:00", "2027-01-01T01:00:00Z"),
        (1767323045, "2026-01-02T03:04:05Z"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+00:01", None),
        ("9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59-00:01", None),
        ("infinity", None),
        (1e300, None),
        ([], None),
    ],
)
async def test_the_time_of_a_fetch_is_answered_in_utc_whatever_a_parser_writes(
    *,
    client: httpx.AsyncClient,
    connection: asyncpg.Connection,
    jobs: WorkerContext,
    database: Database,
    site: Site,
    sent: object,
    answered: str | None,
) -> None:
    request_id = await _persist(jobs, database, fetched_at=sent)
    answer = (await client.get(f"/result/{request_id}")).json()
    assert (answer["fetched_at"], answer["charset"]) == (answered, "utf-8")
    # Rows may hold what a parser wrote, word for word.
    await connection.execute(
        "UPDATE parse_requests SET facts = $1 WHERE id = $2",
        json.dumps(FACTS | {"fetched_at": sent}),
        request_id,
    )
    answer = (await client.get(f"/result/{request_id}")).json()
    assert (answer["fetched_at"], answer["charset"]) == (answered, "utf-8")
    page = {"url": "https://a.example/", "title": "A", "html": ""} | FACTS | {"fetched_at": sent}
    path = "/fetch?url=https%3A%2F%2Fa.example%2F"
    site.respond(path, 200, json.dumps(page).encode(), {})
    answer = (await client.get("/parse_sync", params={"url": "https://a.example/"})).json()
    assert (answer["fetched_at"], answer["charset"]) == (answered, "utf-8")


@pytest.mark.parametrize(
    ("stored", "answered"),
    [
        ("2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T23:30:00-02:00", "2026-01-03T01:30:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("10000-01-01T00:00:00Z", None),
        ("0001-12-31T23:59:59Z BC", None),
        ("0044-03-15T12:00:00Z BC", None),
        ("infinity", None),
        ("-infinity", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/St_Johns"])
async def test_a_time_in_a_row_of_an_older_version_is_answered_in_utc_in_every_time_zone(
    *,
    open_api: OpenApp,
    connection: asyncpg.Connection,
    database_url: str,
    stored: str | None,
    answered: str | None,
    zone: str,
) -> None:
    name = urlsplit(database_url).path.strip("/")
    await connection.execute(f"ALTER DATABASE {name} SET TimeZone = '{zone}'")
    request_id = await connection.fetchval(
        "INSERT INTO parse_requests (url, status, title, html_content, charset, fetched_at)"
        " VALUES ('https://a.example/', 'success', 'A', '', 'utf-8', $1::text::timestamptz)"
        " RETURNING id",
        stored,
    )
    async with open_api() as client:
        answer = (await client.get(f"/result/{request_id}")).json()
    assert answer["charset"] == "utf-8"
    found = answer["fetched_at"]
    assert (found and found.replace(".000000Z", "Z")) == answered


async def test_a_page_without_facts_answers_with_nulls(
    client: httpx.AsyncClient, jobs: WorkerContext, database: Database
) -> None:
    async with database.transaction() as session:
        request_id = await add_request(session)
    await jobs.handover.hand_over_pending([request_id])
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


@pytest.mark.parametrize(
    ("fetched_at", "restored"),
    [
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+05:30", datetime(2026, 1, 1, 21, 34, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59.999999Z", datetime.max.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59-01:00", None),
    ],
)
async def test_the_way_back_keeps_a_time_in_utc_if_the_older_version_can_read_it(
    empty_database_url: str, fetched_at: str, restored: datetime | None
) -> None:
    upgrade(empty_database_url)
    connection = await asyncpg.connect(dsn(empty_database_url))
    name = urlsplit(empty_database_url).path.strip("/")
    await connection.execute(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Tokyo'")
    await connection.execute(
        "INSERT INTO parse_requests (url, status, facts) VALUES ('https://a.example/', 'success',"
        " $1)",
        json.dumps({"fetched_at": fetched_at}),
    )
    result = alembic(empty_database_url, "downgrade", "0003")
    assert result.returncode == 0, result.stderr
    found = await connection.fetchval("SELECT fetched_at FROM parse_requests")
    await connection.close()
    assert found == restored


@pytest.mark.parametrize("name", ["bytes", "elapsed_ms", "http_status"])
async def test_a_number_beyond_its_bounds_is_left_out(
    client: httpx.AsyncClient, jobs: WorkerContext, database: Database, name: str
) -> None:
    async with database.transaction() as session:
        request_id = await add_request(session)
    await jobs.handover.hand_over_pending([request_id])
    message = {"status": "success", "title": "A", "html": "<p>"} | FACTS | {name: 10**12}
    await jobs.endings.record({request_id: read_result(json.dumps(message).encode())})
    answer = (await client.get(f"/result/{request_id}")).json()
    assert answer[name] is None
    assert answer["charset"] == "utf-8"
