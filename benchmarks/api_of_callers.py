"""Serve the API to callers who say in a header who they are, to measure what an owner costs."""

from uuid import UUID

from fastapi import Request

from api_service.caller import ANONYMOUS, Caller, CallerLimits
from api_service.dependencies import current_caller
from api_service.main import create_app

OWNER_HEADER, LIMIT_HEADER = "x-owner", "x-limit"

app = create_app()


async def caller_in_header(request: Request) -> Caller:
    """Return the caller that the headers name."""
    owner, limit = request.headers.get(OWNER_HEADER), request.headers.get(LIMIT_HEADER)
    if not owner:
        return ANONYMOUS
    return Caller(
        UUID(owner),
        limits=CallerLimits(unfinished_requests=int(limit) if limit else None, stored_bytes=2**40),
    )


app.dependency_overrides[current_caller] = caller_in_header
