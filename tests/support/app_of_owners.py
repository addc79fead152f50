"""Serve the API to callers who say in a header who they are, and tell them what they use."""

from fastapi import Request

from api_service.dependencies import CurrentCaller
from api_service.owners.use import CallerUse
from benchmarks.api_of_callers import app


@app.get("/use")
async def read_use(request: Request, caller: CurrentCaller) -> dict[str, int | None]:
    """Answer what the caller uses."""
    use = await request.app.state.collaborators.get(CallerUse).read(caller)
    return {"unfinished_requests": use.unfinished_requests, "stored_bytes": use.stored_bytes}
