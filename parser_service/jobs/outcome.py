"""Write results of jobs: a page or an error in, the bytes of a message out."""

import asyncio

from parser_service.exceptions import FetchError
from parser_service.page import Page, json_pieces
from parser_service.redis_queue.messages import (
    ErrorFacts,
    FailureResult,
    Job,
    SuccessResult,
    encode_with_html_apart,
)


async def encode_page(page: Page, job: Job) -> bytes:
    """Write the success of a job, in the form that it asks for, in several turns if it is long."""
    result = SuccessResult(token=job.token, kind=job.kind, **dict(page))
    if job.html_apart:
        return encode_with_html_apart(result)
    pieces = await json_pieces(result)
    if len(pieces) == 1:
        return pieces[0]
    return await asyncio.to_thread(b"".join, pieces)


def encode_failure(error: FetchError, job: Job) -> bytes:
    """Write the failure of a job, with its reason."""
    reason = ErrorFacts(
        code=error.code,
        message=error.message,
        retryable=error.retryable,
        page_status=error.page_status,
        retry_after=error.retry_after,
    )
    failure = FailureResult(error=error.message, reason=reason, token=job.token, kind=job.kind)
    return failure.model_dump_json(exclude_none=True).encode()
