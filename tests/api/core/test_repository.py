"""Rows are added and read as their caller's, whatever is stored with them."""

from uuid import uuid4

import asyncpg
import pytest

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.parser_client.messages import SuccessResult
from api_service.repository import IdAndOwner, NewRequest, ParseRequestRepository

ADA, BOB = uuid4(), uuid4()


async def test_requests_that_are_added_together_get_their_ids_in_order(
    database: Database, connection: asyncpg.Connection
) -> None:
    requests = [
        NewRequest(f"https://a.example/{number}", owner_id=(ADA, BOB, None)[number % 3])
        for number in range(50)
    ]
    async with database.transaction() as session:
        ids = await ParseRequestRepository(session).add_all(requests)
    rows = await connection.fetch("SELECT id, url, owner_id FROM parse_requests")
    stored = {row["id"]: (row["url"], row["owner_id"]) for row in rows}
    assert [stored[request_id] for request_id in ids] == [
        (request.url, request.owner_id) for request in requests
    ]


@pytest.mark.parametrize("owner", [None, ADA])
async def test_a_whole_page_is_read_for_its_owner_only(
    database: Database, jobs: WorkerContext, owner: object
) -> None:
    owners = [None, ADA]
    async with database.transaction() as session:
        ids = await ParseRequestRepository(session).add_all(
            [NewRequest("https://a.example/", owner_id=each) for each in owners]
        )
    await jobs.handover.hand_over_pending(ids)
    page = SuccessResult(status="success", title="A", html="<p>")
    await jobs.endings.record(dict.fromkeys(ids, page))
    [request_id] = [i for i, each in zip(ids, owners, strict=True) if each == owner]
    async with database.read_session() as session:
        repository = ParseRequestRepository(session)
        read = {
            caller: await repository.find_html(IdAndOwner(request_id, caller))
            for caller in (None, ADA, BOB)
        }
    assert read == {None: None, ADA: None, BOB: None} | {owner: "<p>"}
