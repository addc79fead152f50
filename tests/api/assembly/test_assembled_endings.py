"""Endings know what every capability adds, in the worker and in the API."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from api_service.assembly import api, worker
from api_service.assembly.api import open_api
from api_service.assembly.endings import build_endings
from api_service.assembly.worker import WorkerContext, open_worker
from api_service.capabilities import CAPABILITIES, Capability
from api_service.config import Settings
from api_service.database import Database, Session
from api_service.edge.draining import Draining
from api_service.endings.attempts import AttemptOutcome
from api_service.endings.service import Endings
from api_service.parser_client.messages import PAGE_KIND, SuccessResult
from api_service.process.collaborators import CollaboratorRegistry
from tests.support.rows import add_request


class Counting:
    """A capability that notes what ended, and has a kind of its own."""

    def __init__(self) -> None:
        self.ended: list[int] = []
        self.recorded: list[int] = []
        self.capability = Capability(
            name="counting", ending_steps=(self.step,), recorders={"counting": self.record}
        )

    async def step(self, _: Session, ended: Sequence[AttemptOutcome]) -> None:
        self.ended += [change.request_id for change in ended]

    async def record(
        self, _: Session, results: Mapping[int, SuccessResult]
    ) -> list[AttemptOutcome]:
        self.recorded += results
        return []


@asynccontextmanager
async def _of_the_worker(settings: Settings) -> AsyncIterator[CollaboratorRegistry]:
    async with open_worker(settings) as context:
        yield context.collaborators


@asynccontextmanager
async def _of_the_api(settings: Settings) -> AsyncIterator[CollaboratorRegistry]:
    async with open_api(settings, Draining()) as collaborators:
        yield collaborators


@pytest.mark.parametrize("opened", [_of_the_worker, _of_the_api])
async def test_steps_and_recorders_of_a_capability_run(
    *,
    settings: Settings,
    jobs: WorkerContext,
    database: Database,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    opened: object,
) -> None:
    counting = Counting()
    for module in (api, worker):
        monkeypatch.setattr(module, "CAPABILITIES", (*CAPABILITIES, counting.capability))
    async with database.transaction() as session:
        page = await add_request(session)
        other = await add_request(session, kind="counting")
    await jobs.handover.hand_over_pending([page, other])
    rows = await connection.fetch("SELECT id, token FROM parse_requests")
    tokens = {row["id"]: row["token"] for row in rows}
    result = SuccessResult(status="success", title="A", html="<p>")
    results = {
        page: result.model_copy(update={"token": tokens[page]}),
        other: result.model_copy(update={"token": tokens[other], "kind": "counting"}),
    }
    assert callable(opened)
    async with opened(settings) as collaborators:
        await collaborators.get(Endings).record(results)
    assert (counting.ended, counting.recorded) == ([page], [other])


def test_a_kind_has_one_recorder(settings: Settings, database: Database) -> None:
    own, of_the_core = Counting(), Counting()
    twice = (own.capability, Counting().capability)
    pages = (Capability(name="pages", recorders={PAGE_KIND: of_the_core.record}),)
    for capabilities in (twice, pages):
        with pytest.raises(ValueError, match="have a recorder; name its kinds otherwise"):
            build_endings(settings, database, capabilities)
