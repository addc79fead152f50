"""Lead a job through the real database, Redis and queue classes, a step at a time.

No process runs: a test decides which part acts next, which dies, and how much time passes.
"""

import json
from typing import Any

import asyncpg
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext
from api_service.database import Database
from api_service.queueing.sweep import SweepReport
from api_service.worker.result_loop import build_result_loop
from parser_service.redis_queue.job_queue import JobQueue
from tests.support.keys import QUEUE
from tests.support.rows import add_request
from tests.support.time_travel import pass_time

URL = "https://a.example/"
PAGE = {"status": "success", "title": "A", "html": "<p>"}
FAILURE = {"status": "failure", "error": "Slow."}

Job = dict[str, Any]


class PipelineSteps:
    """Act as each part of the system that handles a job.

    Attributes:
        context: the worker's.
        connection: to read rows, and to change them without the services' knowledge.
        redis: likewise for keys; it decodes.
        parser: a parser's queue; the test decides when it ends what it has taken.
    """

    def __init__(
        self,
        *,
        context: WorkerContext,
        database: Database,
        connection: asyncpg.Connection,
        redis: aioredis.Redis,
        parser: JobQueue,
    ) -> None:
        self.context = context
        self.handover = context.handover
        self.endings = context.endings
        self.database = database
        self.connection = connection
        self.redis = redis
        self.parser = parser

    async def add(self) -> int:
        """Add a request as the API commits it."""
        async with self.database.transaction() as session:
            return await add_request(session, URL)

    async def start(self) -> int:
        """Add a request and push its job to the list."""
        request_id = await self.add()
        await self.handover.hand_over_pending([request_id])
        return request_id

    async def take(self) -> Job:
        """Take the next job, which the parser leases from now on."""
        (taken,) = await self.parser.take(1)
        job: Job = json.loads(taken.raw)
        return job

    async def finish(self, job: Job, result: dict[str, Any] | None = None) -> None:
        """Have the parser store and announce a result; without one, a page."""
        message = json.dumps((result or PAGE) | {"token": job["token"]}).encode()
        await self.parser.finish(job["id"], message, token=job["token"], reply=job["reply"])

    async def persist(self) -> None:
        """Have the results process persist everything that has been announced."""
        loop = build_result_loop(self.context)
        loop.request_stop()
        await loop.run()

    async def later(self, seconds: float) -> SweepReport:
        """Let these seconds pass and sweep once."""
        await pass_time(self.connection, self.redis, seconds)
        swept = await self.context.sweep.run()
        assert swept is not None
        return swept

    async def fail(self, job: Job, *, retryable: bool, retry_after: float | None = None) -> None:
        """Have the parser store and announce that the page could not be fetched."""
        reason: dict[str, Any] = {"code": "timeout", "message": "Slow.", "retryable": retryable}
        if retry_after is not None:
            reason["retry_after"] = retry_after
        await self.finish(job, FAILURE | {"reason": reason})

    async def pop(self) -> str:
        """Take a message off the list and drop it, as a parser that dies after its pop."""
        return str(await self.redis.lpop(QUEUE))

    async def listed(self) -> list[int]:
        """Return the requests whose jobs are on the list."""
        return [json.loads(raw)["id"] for raw in await self.redis.lrange(QUEUE, 0, -1)]

    async def row(self, request_id: int) -> dict[str, Any]:
        """Return all columns of a request."""
        query = "SELECT * FROM parse_requests WHERE id = $1"
        return dict(await self.connection.fetchrow(query, request_id))
