"""Read messages of the lists: bytes in, runnable jobs out."""

from collections.abc import Sequence
from dataclasses import dataclass

from parser_service.fetching.hop import Hop
from parser_service.jobs.parked import ReadyJob
from parser_service.redis_queue.host_limits import Slot
from parser_service.redis_queue.job_queue import TakenMessage
from parser_service.redis_queue.messages import Job


@dataclass(frozen=True, slots=True)
class RunnableJob:
    """Hold a job, where its page begins or goes on, and the slot that it got while it waited.

    Attributes:
        taken: the message as it was taken, to be handed back.
        raw: the job's own message, to be parked.
        url: the job's URL, or where its page goes on.
        hops: redirects that were followed before it was parked.
        is_allowed: whether robots.txt was found to allow the URL before it was parked.
    """

    taken: TakenMessage
    raw: bytes
    job: Job
    url: str
    hops: Sequence[Hop] = ()
    slot: Slot | None = None
    is_allowed: bool = False


def decode_job(taken: TakenMessage) -> RunnableJob:
    """Read a message: a new job, or one that waited for its host and goes on.

    Raises:
        ValueError: it is neither.
    """
    if not taken.is_ready:
        job = Job.model_validate_json(taken.raw)
        return RunnableJob(taken, taken.raw, job, job.url)
    ready = ReadyJob.decode(taken.raw)
    parked = ready.read_parked()
    raw = parked.job_message
    job = Job.model_validate_json(raw)
    return RunnableJob(
        taken, raw, job, parked.url, parked.hops, ready.slot, is_allowed=parked.is_allowed
    )
