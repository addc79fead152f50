"""The plans of the statements that run repeatedly, at a million requests that have ended.

What the services send is caught on its way and explained: every statement is served by an index
that fits it, and what it reads does not grow with the requests that have ended.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from api_service.database import Database, Session
from api_service.endings.attempts import FailedAttempt, RetryPolicy, SucceededAttempt
from api_service.endings.repository import EndingRepository
from api_service.idempotency.repository import IdempotencyRepository
from api_service.idempotency.service import scope_of_owner
from api_service.owners.repository import OwnerCount, OwnerRepository
from api_service.page.facts import ErrorFacts, PageFacts
from api_service.queueing.repository import QueueRepository
from api_service.repository import IdAndOwner, ParseRequestRepository
from api_service.retention import CLEANUP_BATCH_SIZE
from api_service.stored_bytes.repository import StoredBytesRepository
from tests.support.servers import dsn
from tests.support.statistics import TABLES

pytestmark = pytest.mark.slow

ENDED = 1_000_000
WAITING, PUSHED, DUE, SUSPECTS = 1000, 2000, 300, 200
OWNERS, ENDED_OF_OWNER, UNFINISHED_OF_OWNER = 100, 500, 30
OWNER = UUID(int=1)
"""The first of the owners, each of whom has as many requests; others have none."""
UNFINISHED = WAITING + PUSHED + DUE + OWNERS * UNFINISHED_OF_OWNER
KEYS = 200_000

FILL = f"""
    INSERT INTO parse_requests
        (url, status, title, html_content, attempts, created_at, updated_at)
    SELECT 'https://a.example/' || n,
        (CASE WHEN n % 2 = 0 THEN 'success' ELSE 'failure' END)::parse_request_status,
        'A', '<p>', 1, t, t
    FROM generate_series(1, {ENDED}) AS n, LATERAL (
        SELECT now() - interval '31 days' * (1 - n / {ENDED}.0)
    ) AS at(t);
    INSERT INTO parse_requests (url, status, token, created_at, updated_at, suspect_since)
    SELECT 'https://a.example/' || n,
        (CASE WHEN n <= {WAITING} THEN 'pending' ELSE 'processing' END)::parse_request_status,
        CASE WHEN n > {WAITING} THEN ({ENDED} + n) || '-token' END, t, t,
        CASE WHEN n > {WAITING + PUSHED - SUSPECTS} THEN t END
    FROM generate_series(1, {WAITING + PUSHED}) AS n, LATERAL (
        SELECT now() - interval '1 minute'
    ) AS at(t);
    INSERT INTO parse_requests (url, status, attempts, next_attempt_at)
    SELECT 'https://a.example/' || n, 'processing', 1, now() + interval '1 second' * (n - 50)
    FROM generate_series(1, {DUE}) AS n;
    INSERT INTO idempotency_keys (caller, key, fingerprint, request_id, created_at)
    SELECT 'somebody', 'key-' || n, 'print', n, now() - interval '25 hours' * (1 - n / {KEYS}.0)
    FROM generate_series(1, {KEYS}) AS n;
    INSERT INTO parse_requests (url, status, owner_id, html_content, created_at, updated_at)
    SELECT 'https://a.example/' || n,
        (CASE WHEN n <= {ENDED_OF_OWNER} THEN 'success' ELSE 'pending' END)::parse_request_status,
        lpad(to_hex(o), 32, '0')::uuid, CASE WHEN n <= {ENDED_OF_OWNER} THEN '<p>' END, t, t
    FROM generate_series(1, {ENDED_OF_OWNER + UNFINISHED_OF_OWNER}) AS n,
        generate_series(1, {OWNERS}) AS o, LATERAL (SELECT now() - interval '1 second') AS at(t);
    INSERT INTO idempotency_keys (caller, key, fingerprint, request_id)
    SELECT '{scope_of_owner(OWNER)}', 'key-' || n, 'print', n FROM generate_series(1, 2000) AS n;
    INSERT INTO stored_bytes_changes (owner_id, bytes)
    SELECT lpad(to_hex(n % {OWNERS} + 1), 32, '0')::uuid, 100 FROM generate_series(1, 20000) AS n;
    INSERT INTO stored_bytes
    SELECT lpad(to_hex(n), 32, '0')::uuid, 100 FROM generate_series(1, 20000) AS n;
    INSERT INTO owners_to_delete (id, owner_id, requested_at, done_at, next_look_at)
    SELECT 'del_' || n, lpad(to_hex(n), 32, '0')::uuid, now() - interval '50 days',
        CASE WHEN n > 1 THEN now() - interval '50 days' END, CASE WHEN n = 1 THEN now() END
    FROM generate_series(1, 20000) AS n;
    VACUUM ANALYZE parse_requests;
    VACUUM ANALYZE idempotency_keys;
    VACUUM ANALYZE stored_bytes_changes;
    VACUUM ANALYZE stored_bytes;
    VACUUM ANALYZE owners_to_delete;
"""

POLICY = RetryPolicy(max_attempts=3, base_delay=2, max_delay=60)
FIRST_PUSHED = ENDED + WAITING + 1
TOKENS = [f"{number}-token" for number in range(FIRST_PUSHED, FIRST_PUSHED + 100)]
PUSHED_IDS = list(range(FIRST_PUSHED, FIRST_PUSHED + PUSHED))
TIMEOUT = ErrorFacts(code="timeout", message="Slow.")

Ask = Callable[[Session], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """A statement, the indexes it may use, and how many rows it may read."""

    ask: Ask
    indexes: set[str]
    rows: int


def _on(repository: type[Any]) -> Callable[..., Ask]:
    def asking(name: str, *arguments: Any, **named: Any) -> Ask:
        def ask(session: Session) -> Awaitable[Any]:
            answer: Awaitable[Any] = getattr(repository(session), name)(*arguments, **named)
            return answer

        return ask

    return asking


_on_requests, _on_queue = _on(ParseRequestRepository), _on(QueueRepository)
_on_endings, _on_keys = _on(EndingRepository), _on(IdempotencyRepository)
_on_owners, _on_bytes = _on(OwnerRepository), _on(StoredBytesRepository)


PRIMARY = "parse_requests_pkey"
OPEN = "ix_parse_requests_unfinished"
NEXT = "ix_parse_requests_next_attempt_at"
SUSPECT = "ix_parse_requests_suspect_since"
CREATED = "ix_parse_requests_created_at"
OWNER_OPEN = "ix_parse_requests_owner_unfinished"
OWNER_ENDED = "ix_parse_requests_owner_ended"
CHANGES_PRIMARY, BYTES_PRIMARY = "stored_bytes_changes_pkey", "stored_bytes_pkey"
DELETIONS_PRIMARY = "owners_to_delete_pkey"
DELETIONS_NEXT = "ix_owners_to_delete_next_look_at"
DELETIONS_DONE = "ix_owners_to_delete_done_at"
DELETIONS_OWNER = "ix_owners_to_delete_owner_id"
KEYS_PRIMARY = "idempotency_keys_pkey"
KEYS_CREATED = "ix_idempotency_keys_created_at"

A_PAGE = SucceededAttempt(FIRST_PUSHED, TOKENS[0], title="A", html="<p>", facts=PageFacts())
A_FAILURE = FailedAttempt(FIRST_PUSHED, TOKENS[0], error=TIMEOUT, retry_after=None)

CASES = {
    "sweep: what is due": Case(
        _on_queue("claim_due_retries", limit=1000), {NEXT, PRIMARY}, 2 * DUE
    ),
    "sweep: the first that is due": Case(_on_queue("find_due_search_start"), {NEXT}, 1),
    "sweep: the first that is pending": Case(
        _on_queue("find_pending_search_start"), {OPEN, PRIMARY}, 2
    ),
    "sweep: what is stranded": Case(
        _on_queue("claim_stale_pending", age=5, limit=1000), {OPEN, PRIMARY}, 2 * UNFINISHED
    ),
    "sweep: dead holders": Case(
        _on_endings("record_dead_attempts", TOKENS, POLICY), {OPEN, PRIMARY}, UNFINISHED
    ),
    "sweep: what is missing": Case(
        _on_queue(
            "find_missing_from_redis",
            PUSHED_IDS[:1800],
            before=datetime.now(UTC) + timedelta(hours=1),
        ),
        {OPEN, PRIMARY},
        UNFINISHED,
    ),
    "sweep: suspects": Case(
        _on_queue("add_suspects", PUSHED_IDS[-100:]), {OPEN, PRIMARY}, UNFINISHED
    ),
    "sweep: what is lost": Case(
        _on_queue("claim_lost", age=45, limit=10_000), {SUSPECT, OPEN, PRIMARY}, UNFINISHED
    ),
    "worker: start": Case(
        _on_queue("mark_processing", list(range(ENDED + 1, ENDED + 101))), {OPEN, PRIMARY}, 3300
    ),
    "results: polling": Case(_on_queue("find_next_ids_to_poll", after=0, limit=500), {OPEN}, 2000),
    "results: polling on": Case(
        _on_queue("find_next_ids_to_poll", after=FIRST_PUSHED, limit=500), {OPEN}, 600
    ),
    "results: success": Case(_on_endings("mark_success", [A_PAGE]), {OPEN, PRIMARY}, 10),
    "results: failure": Case(
        _on_endings("mark_attempts_failed", [A_FAILURE], POLICY), {OPEN, PRIMARY}, 10
    ),
    "API: status": Case(
        _on_requests("find_statuses", [IdAndOwner(i, None) for i in (1, 5, 500_000)]),
        {PRIMARY},
        3,
    ),
    "API: result": Case(_on_requests("find_result", IdAndOwner(500_000, None)), {PRIMARY}, 1),
    "API: newest request": Case(_on_queue("find_newest"), {PRIMARY}, 1),
    "API: unfinished requests": Case(
        _on_queue("summarise_unfinished", limit=250_000), {OPEN, PRIMARY}, 2 * UNFINISHED
    ),
    "API: key": Case(
        _on_keys("find", "somebody", "key-5", age=timedelta(hours=24)), {KEYS_PRIMARY}, 1
    ),
    "clean-up: requests": Case(
        _on_requests(
            "delete_ended", timedelta(days=30), accepted_from=None, limit=CLEANUP_BATCH_SIZE
        ),
        {CREATED, PRIMARY},
        2 * CLEANUP_BATCH_SIZE + 100,
    ),
    "clean-up: what has expired": Case(
        _on_endings("lock_unfinished_older_than", timedelta(days=30), limit=CLEANUP_BATCH_SIZE),
        {OPEN},
        UNFINISHED,
    ),
    "clean-up: expire": Case(
        _on_endings("mark_expired", PUSHED_IDS[:CLEANUP_BATCH_SIZE], TIMEOUT),
        {OPEN, PRIMARY},
        UNFINISHED,
    ),
    "clean-up: keys": Case(
        _on_keys("delete_older_than", timedelta(hours=24), limit=1000),
        {KEYS_CREATED, KEYS_PRIMARY},
        2100,
    ),
    "API: unfinished requests of two owners": Case(
        _on_owners(
            "count_unfinished", [OwnerCount(OWNER, 0, 10_001), OwnerCount(UUID(int=0), 5, 10_001)]
        ),
        {OWNER_OPEN, PRIMARY},
        UNFINISHED_OF_OWNER + 1,
    ),
    "API: stored bytes": Case(_on_bytes("read", [OWNER]), {BYTES_PRIMARY}, 1),
    "results: fold of stored bytes": Case(
        _on_bytes("fold", first=1000, limit=500), {CHANGES_PRIMARY, BYTES_PRIMARY}, 1100
    ),
    "deletion: whose turn": Case(_on_owners("find_owner_to_delete"), {DELETIONS_NEXT}, 1),
    "deletion: unfinished requests": Case(
        _on_owners("lock_unfinished", OWNER, first=0, limit=200),
        {OWNER_OPEN},
        UNFINISHED_OF_OWNER,
    ),
    "deletion: ended requests": Case(
        _on_owners("delete_ended", OWNER, first=0, limit=200), {OWNER_ENDED, PRIMARY}, 400
    ),
    "deletion: is anything left": Case(
        _on_owners("has_requests", OWNER), {OWNER_OPEN, OWNER_ENDED}, 2
    ),
    "deletion: keys": Case(
        _on_keys("delete_of_scope", scope_of_owner(OWNER), after="key-1", limit=500),
        {KEYS_PRIMARY},
        1000,
    ),
    "deletion: nothing left": Case(
        _on_owners("note_nothing_left", OWNER, settle_seconds=30.0, watch_seconds=3600.0),
        {DELETIONS_OWNER},
        1,
    ),
    "deletion: its answer": Case(_on_owners("find_deletion", "del_5"), {DELETIONS_PRIMARY}, 1),
    "deletion: old answers": Case(
        _on_owners("forget_old_deletions", days=30, limit=100),
        {DELETIONS_DONE, DELETIONS_PRIMARY},
        200,
    ),
}


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn(database_url))
    for statement in FILL.split(";"):
        if statement.strip():
            await connection.execute(statement, timeout=300)
    yield connection
    await connection.close()


async def _sent(database: Database, ask: Ask) -> list[tuple[str, tuple[Any, ...]]]:
    """The statements that are sent for something, of which nothing stays."""
    sent: list[tuple[str, tuple[Any, ...]]] = []

    def catch(_c: Any, _u: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, tuple(parameters)))

    event.listen(Engine, "before_cursor_execute", catch)
    try:
        async with database.transaction(seconds=60) as session:
            await ask(session)
            await session.rollback()
    finally:
        event.remove(Engine, "before_cursor_execute", catch)
    return [(text, values) for text, values in sent if not text.startswith("SET")]


async def _plan(
    connection: asyncpg.Connection, statement: str, parameters: tuple[Any, ...]
) -> dict[str, Any]:
    transaction = connection.transaction()
    await transaction.start()
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
    (row,) = await connection.fetch(explain, *parameters)
    await transaction.rollback()
    plan: dict[str, Any] = json.loads(row[0])[0]
    return plan


def _json_ld_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _json_ld_nodes(inner)


def _rows_read(node: dict[str, Any]) -> float:
    reads = ("Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Seq Scan")
    if node["Node Type"] not in reads or node.get("Relation Name") not in TABLES:
        return 0
    removed = sum(node.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck"))
    rows: float = (node["Actual Rows"] + removed) * node["Actual Loops"]
    return rows


async def test_statements_read_by_fitting_indexes_and_no_request_that_has_ended(
    filled: asyncpg.Connection, database: Database
) -> None:
    wrong = []
    for name, case in CASES.items():
        used: set[str] = set()
        rows, blocks, milliseconds = 0.0, 0, 0.0
        sent = await _sent(database, case.ask)
        assert sent, name
        for statement, parameters in sent:
            plan = await _plan(filled, statement, parameters)
            milliseconds += plan["Execution Time"]
            top = plan["Plan"]
            blocks += top["Shared Hit Blocks"] + top["Shared Read Blocks"]
            for node in _json_ld_nodes(top):
                used |= {node["Index Name"]} if "Index Name" in node else set()
                rows += _rows_read(node)
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] in TABLES:
                    wrong.append(f"{name}: reads all of {node['Relation Name']}")
        line = f"{name}: {sorted(used)}, {rows:.0f} rows, {blocks} blocks, {milliseconds:.1f} ms"
        print(line)
        if not used or not used <= case.indexes:
            wrong.append(f"{line}: other indexes than {sorted(case.indexes)}")
        if rows > case.rows:
            wrong.append(f"{line}: more than {case.rows} rows")
    assert not wrong, "\n".join(wrong)
