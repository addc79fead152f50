"""Run a job: from a runnable job to the message of its result."""

from parser_service.exceptions import FetchError
from parser_service.jobs.access import JobAccess
from parser_service.jobs.outcome import encode_failure, encode_page
from parser_service.jobs.work import RunnableJob
from parser_service.page import PageOptions
from parser_service.pipeline import PagePipeline


async def run(work: RunnableJob, pipeline: PagePipeline, access: JobAccess) -> bytes:
    """Run a job and return the message to store as its result.

    Raises:
        ParkedError: the job waits for its host and has no result yet.
    """
    options = PageOptions.of(work.job)
    try:
        page = await pipeline.run(work.url, access=access, options=options, hops=work.hops)
    except FetchError as error:
        return encode_failure(error, work.job)
    return encode_page(page, work.job)
