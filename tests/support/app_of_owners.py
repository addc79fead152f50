"""Serve the API to callers who say in a header who they are: `x-owner`, and `x-limit`."""

from uuid import UUID

from fastapi import Request

from api_service.caller import ANONYMOUS, Caller, CallerLimits
from api_service.dependencies import CurrentCaller, current_caller
from api_service.main import create_app
from api_service.owners.use import CallerUse

app = create_app()


async def caller_in_header(request: Request) -> Caller:
    """Return the caller that the headers name."""
    owner, limit = request.headers.get("x-owner"), request.headers.get("x-limit")
    if not owner:
        return ANONYMOUS
    limits = CallerLimits(unfinished_requests=int(limit) if limit else None)
    return Caller(UUID(owner), limits=limits)


app.dependency_overrides[current_caller] = caller_in_header


@app.get("/use")
async def read_use(request: Request, caller: CurrentCaller) -> dict[str, int | None]:
    """Answer what the caller uses."""
    use = await request.app.state.collaborators.get(CallerUse).read(caller)
    return {"unfinished_requests": use.unfinished_requests, "stored_bytes": use.stored_bytes}
