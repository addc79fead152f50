"""Store rows as the API commits them."""

from collections.abc import Mapping
from uuid import UUID

from api_service.database import Session
from api_service.parser_client.messages import PAGE_KIND
from api_service.repository import NewRequest, ParseRequestRepository


async def add_request(
    session: Session,
    url: str = "https://a.example/",
    *,
    trace_id: str | None = None,
    options: Mapping[str, bool] | None = None,
    kind: str = PAGE_KIND,
    owner_id: UUID | None = None,
) -> int:
    """Store one request, and return its id."""
    [request_id] = await ParseRequestRepository(session).add_all(
        [NewRequest(url, trace_id, options or {}, owner_id, kind)]
    )
    return request_id
