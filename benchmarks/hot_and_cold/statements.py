"""Time what the services send each second and for each request, as they send it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import Engine

from api_service.database import Database, Session
from api_service.endings.attempts import FailedAttempt, RetryPolicy, SucceededAttempt
from api_service.endings.repository import EndingRepository
from api_service.idempotency.service import forget_keys_of_owner
from api_service.owners.repository import OwnerCount, OwnerRepository
from api_service.page.facts import ErrorFacts, PageFacts
from api_service.queueing.repository import QueueRepository
from api_service.repository import IdAndOwner, NewRequest, ParseRequestRepository
from api_service.stored_bytes.repository import StoredBytesRepository
from benchmarks.hot_and_cold.rows import OTHER, OWNER

ROUNDS = 9
LIMIT = 1000
DEPTH = 250_000
RARE = (
    *("look: missing", "API: count", "API: count from the bottom"),
    *("API: count of an owner from the bottom", "API: count of an owner with many"),
    "deletion: is anything left",
)
"""Statements that read all that has not ended, and are not sent each second."""
OWNER_LIMIT = 100_001
BATCH = 50
SECONDS = 120

Ask = Callable[[Session], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a statement took: milliseconds, and blocks that were read."""

    milliseconds: float
    blocks: int


@dataclass(frozen=True, slots=True)
class Targets:
    """Ids of rows that the statements are about.

    Attributes:
        owned: the pushed requests of an owner.
        first_owned, first_ended: where counting and deleting what is an owner's starts.
        first_change: where folding starts.
    """

    ended: int
    pending: list[int]
    pushed: list[int]
    first_pending: int
    first_due: datetime
    first_unfinished: int
    owned: list[int]
    first_owned: int
    first_ended: int
    first_change: int


async def find_targets(connection: asyncpg.Connection, database: Database) -> Targets:
    """Choose rows, the newest of each kind; find where a sweep starts that has swept before."""

    async def newest(status: str, limit: int) -> list[int]:
        rows = await connection.fetch(
            "SELECT id FROM parse_requests WHERE status = $1 AND owner_id IS NULL"
            " AND next_attempt_at IS NULL AND suspect_since IS NULL ORDER BY id DESC LIMIT $2",
            *(status, limit),
        )
        return sorted(row["id"] for row in rows)

    async with database.transaction(seconds=SECONDS) as session:
        first_pending = await QueueRepository(session).find_pending_search_start()
        first_due = await QueueRepository(session).find_due_search_start()
        first = (await QueueRepository(session).summarise_unfinished(limit=DEPTH)).first
        counted = await OwnerRepository(session).count_unfinished([OwnerCount(OWNER, 0, LIMIT)])
    owned = await connection.fetch(
        "SELECT id FROM parse_requests WHERE owner_id = $1 AND status = 'processing'"
        " AND next_attempt_at IS NULL AND suspect_since IS NULL ORDER BY id DESC LIMIT $2",
        *(OWNER, BATCH),
    )
    ended_of_owner = await connection.fetchval(
        "SELECT min(id) FROM parse_requests WHERE owner_id = $1 AND status = 'success'", OWNER
    )
    change = await connection.fetchval("SELECT coalesce(min(id), 0) FROM stored_bytes_changes")
    (ended,) = await newest("success", 1)
    pending, pushed = await newest("pending", BATCH), await newest("processing", BATCH)
    return Targets(
        *(ended, pending, pushed, first_pending, first_due, first),
        owned=sorted(row["id"] for row in owned),
        first_owned=counted[OWNER][1],
        first_ended=ended_of_owner,
        first_change=change,
    )


def statements(targets: Targets) -> Mapping[str, Ask]:
    """Return what the services ask, by name."""
    key = IdAndOwner(targets.ended, None)
    tokens = [f"{number}-0123456789abcdef" for number in targets.pushed]
    page = PageFacts()
    pages = [
        SucceededAttempt(number, None, title="A", html="<p>", facts=page)
        for number in targets.pushed
    ]
    error = ErrorFacts(code="timeout", message="Slow.")
    failures = [FailedAttempt(n, None, error=error, retry_after=0.0) for n in targets.pushed]
    policy = RetryPolicy(max_attempts=3, base_delay=2, max_delay=60)
    return {
        "API: status": lambda s: ParseRequestRepository(s).find_statuses([key]),
        "API: 50 statuses": lambda s: ParseRequestRepository(s).find_statuses(
            [IdAndOwner(number, None) for number in targets.pushed]
        ),
        "API: result": lambda s: ParseRequestRepository(s).find_result(key),
        "API: add 50": lambda s: ParseRequestRepository(s).add_all(
            [NewRequest("https://example.com/")] * BATCH
        ),
        "worker: start": lambda s: QueueRepository(s).mark_processing(targets.pending),
        "results: 50 pages": lambda s: EndingRepository(s).mark_success(pages),
        "results: 50 failures": lambda s: EndingRepository(s).mark_attempts_failed(
            failures, policy
        ),
        "results: foreign pages": lambda s: QueueRepository(s).find_next_ids_to_poll(
            after=targets.pushed[0] - 1, limit=BATCH
        ),
        "sweep: dead parsers": lambda s: EndingRepository(s).record_dead_attempts(tokens, policy),
        "sweep: first due": lambda s: QueueRepository(s).find_due_search_start(
            first=targets.first_due
        ),
        "sweep: first pending": lambda s: QueueRepository(s).find_pending_search_start(
            first=targets.first_pending
        ),
        "sweep: due": lambda s: QueueRepository(s).claim_due_retries(
            limit=LIMIT, first=targets.first_due
        ),
        "sweep: stranded": lambda s: QueueRepository(s).claim_stale_pending(
            age=5, limit=LIMIT, first=targets.first_pending
        ),
        "look: lost": lambda s: QueueRepository(s).claim_lost(age=45, limit=LIMIT),
        "look: first": lambda s: QueueRepository(s).find_first_unfinished_or_newest(
            first=targets.first_unfinished
        ),
        "look: missing": lambda s: QueueRepository(s).find_missing_from_redis(
            targets.pushed,
            before=datetime.now(UTC) - timedelta(days=1),
            first=targets.first_unfinished,
        ),
        "API: newest": lambda s: QueueRepository(s).find_newest(),
        "API: count": lambda s: QueueRepository(s).summarise_unfinished(
            limit=DEPTH, first=targets.first_unfinished
        ),
        "API: count from the bottom": lambda s: QueueRepository(s).summarise_unfinished(
            limit=DEPTH
        ),
    } | _of_owners(targets)


def _of_owners(targets: Targets) -> dict[str, Ask]:
    """Return what is asked about owners."""
    pages = [
        SucceededAttempt(number, None, title="A", html="<p>", facts=PageFacts())
        for number in targets.owned
    ]

    async def end(session: Session) -> None:
        ended = await EndingRepository(session).mark_success(pages)
        await StoredBytesRepository(session).add_changes(
            (change.owner_id, change.stored_bytes) for change in ended
        )

    return {
        "API: add 50 of an owner": lambda s: ParseRequestRepository(s).add_all(
            [NewRequest("https://example.com/", owner_id=OWNER)] * BATCH
        ),
        "API: count of an owner": lambda s: OwnerRepository(s).count_unfinished(
            [OwnerCount(OWNER, targets.first_owned, LIMIT)]
        ),
        "API: count of an owner from the bottom": lambda s: OwnerRepository(s).count_unfinished(
            [OwnerCount(OWNER, 0, LIMIT)]
        ),
        "API: count of an owner with many": lambda s: OwnerRepository(s).count_unfinished(
            [OwnerCount(OTHER, 0, OWNER_LIMIT)]
        ),
        "API: stored bytes of an owner": lambda s: StoredBytesRepository(s).read([OWNER]),
        "results: 50 pages of an owner": end,
        "results: fold of stored bytes": lambda s: StoredBytesRepository(s).fold(
            first=targets.first_change, limit=LIMIT
        ),
        "deletion: whose turn": lambda s: OwnerRepository(s).find_owner_to_delete(),
        "deletion: unfinished requests": lambda s: OwnerRepository(s).lock_unfinished(
            OWNER, first=targets.first_owned, limit=BATCH
        ),
        "deletion: 50 ended requests": lambda s: OwnerRepository(s).delete_ended(
            OWNER, first=targets.first_ended, limit=BATCH
        ),
        "deletion: keys": lambda s: forget_keys_of_owner(s, OWNER, after=""),
        "deletion: is anything left": lambda s: OwnerRepository(s).has_requests(OWNER),
    }


async def measure(
    database: Database, connection: asyncpg.Connection, asked: Mapping[str, Ask]
) -> dict[str, Cost]:
    """Measure each statement; nothing that it changes stays.

    Args:
        database: with one connection, whose cached plans are used as in the services.
        connection: another one, to explain the statements.
        asked: what to ask, by name.
    """
    costs = {}
    for name, ask in asked.items():
        times = []
        for _ in range(ROUNDS):
            times.append(await _time(database, ask))
            if times[-1] > 2:
                break
        blocks = await count_blocks(database, connection, ask)
        costs[name] = Cost(min(times) * 1000, blocks)
    return costs


async def _time(database: Database, ask: Ask) -> float:
    async with database.transaction(seconds=SECONDS) as session:
        started = perf_counter()
        await ask(session)
        seconds = perf_counter() - started
        await session.rollback()
    return seconds


async def count_blocks(database: Database, connection: asyncpg.Connection, ask: Ask) -> int:
    """Count the blocks that PostgreSQL reads for what is asked."""
    sent: list[tuple[str, Any]] = []

    def catch(_c: Any, _u: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, tuple(parameters)))

    event.listen(Engine, "before_cursor_execute", catch)
    try:
        await _time(database, ask)
    finally:
        event.remove(Engine, "before_cursor_execute", catch)
    transaction = connection.transaction()
    await transaction.start()
    blocks = 0
    for statement, values in sent:
        if statement.startswith("SET"):
            await connection.execute(statement)
            continue
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        answer = await connection.fetchval(explain, *values, timeout=SECONDS)
        top = json.loads(answer)[0]["Plan"]
        blocks += top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    await transaction.rollback()
    return blocks
