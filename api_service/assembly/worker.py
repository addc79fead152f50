"""Wire the worker's processes. This module never imports HTTP."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from api_service.assembly.endings import build_endings
from api_service.assembly.owners import build_owner_chores
from api_service.assembly.stores import open_stores
from api_service.capabilities import CAPABILITIES
from api_service.config import Settings
from api_service.database import Database
from api_service.endings.service import Endings
from api_service.owners.chores import OwnerChores
from api_service.parser_client.census import RedisCensus
from api_service.parser_client.keys import Keys
from api_service.parser_client.results import ResultStore
from api_service.process.collaborators import CollaboratorRegistry
from api_service.process.identity import process_name
from api_service.queueing.chores import PeriodicChores
from api_service.queueing.handover import Handover
from api_service.queueing.sweep import Sweep, SweepDelays
from api_service.retention import Retention

DATABASE_POOL_SIZE = 3
"""The sweep holds one while its steps open another; the results process needs one."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The collaborators of the worker's processes; one for each event loop.

    Attributes:
        collaborators: by class, for tasks; those of capabilities included.
    """

    database: Database
    handover: Handover
    endings: Endings
    retention: Retention
    sweep: Sweep
    results: ResultStore
    census: RedisCensus
    owner_chores: OwnerChores
    collaborators: CollaboratorRegistry


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[WorkerContext]:
    """Connect to what the worker uses, then make the collaborators of each capability.

    Raises:
        SchemaOutdatedError: the database lacks a migration.
        DatabaseUnavailableError: the database does not answer.
    """
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(
            open_stores(
                settings, transaction_seconds=settings.job_timeout, pool_size=DATABASE_POOL_SIZE
            )
        )
        database, queues = stores.database, stores.queues
        handover = Handover(database=database, jobs=queues.jobs)
        endings = build_endings(settings, database, CAPABILITIES)
        chores = PeriodicChores(stores.redis, Keys.of(settings), name=process_name())
        sweep = Sweep(
            database=database,
            queues=queues,
            chores=chores,
            handover=handover,
            endings=endings,
            policy=SweepDelays(lost_after=settings.lost_after),
        )
        keep = timedelta(days=settings.retention_days)
        retention = Retention(database=database, endings=endings, keep=keep)
        collaborators = CollaboratorRegistry(
            *(database, stores.redis, queues, handover, endings, retention, sweep)
        )
        for capability in CAPABILITIES:
            if capability.open_worker is not None:
                await stack.enter_async_context(capability.open_worker(settings, collaborators))
        yield WorkerContext(
            database=database,
            handover=handover,
            endings=endings,
            retention=retention,
            sweep=sweep,
            results=queues.results,
            census=queues.census,
            owner_chores=build_owner_chores(database, endings, chores, CAPABILITIES),
            collaborators=collaborators,
        )
