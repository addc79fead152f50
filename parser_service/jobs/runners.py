"""Run a job by its kind: one runner for each, from a runnable job to its result."""

from collections.abc import Awaitable, Callable

import structlog

from parser_service.exceptions import FetchError, InternalError
from parser_service.jobs.access import JobAccess, ParkedError
from parser_service.jobs.outcome import encode_failure, encode_page
from parser_service.jobs.runnable import RunnableJob
from parser_service.page import PageOptions
from parser_service.pipeline import PagePipeline
from parser_service.redis_queue.messages import PAGE_KIND

KindRunner = Callable[[RunnableJob, PagePipeline, JobAccess], Awaitable[bytes]]
"""Returns the message of a success, or raises a `FetchError`, which becomes that of a failure."""


log = structlog.get_logger()


async def run_to_result(runnable: RunnableJob, pipeline: PagePipeline, access: JobAccess) -> bytes:
    """Run a job and return the message to store as its result; a fault of ours is a failure.

    Raises:
        ParkedError: the job waits for its host and has no result yet.
    """
    try:
        return await _run_by_kind(runnable, pipeline, access)
    except ParkedError:
        raise
    except Exception:
        log.exception("job crashed", kind=runnable.job.kind)
        return encode_failure(InternalError(), runnable.job)


async def _run_by_kind(runnable: RunnableJob, pipeline: PagePipeline, access: JobAccess) -> bytes:
    runner = RUNNER_BY_KIND.get(runnable.job.kind)
    try:
        if runner is None:
            # Another parser of this deployment may be newer: the job is worth another try.
            raise InternalError("This parser does not know jobs of this kind.")
        return await runner(runnable, pipeline, access)
    except FetchError as error:
        return encode_failure(error, runnable.job)


async def run_page(runnable: RunnableJob, pipeline: PagePipeline, access: JobAccess) -> bytes:
    """Fetch and parse the page of a job."""
    options = PageOptions.of(runnable.job)
    page = await pipeline.run(
        runnable.url,
        access=access,
        options=options,
        hops=runnable.hops,
        is_allowed=runnable.is_allowed,
    )
    return await encode_page(page, runnable.job)


RUNNER_BY_KIND: dict[str, KindRunner] = {PAGE_KIND: run_page}
