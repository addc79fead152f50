"""Stand in for accounts: users and their tokens, as the API's door asks for them."""

from uuid import UUID, uuid4

from fastapi import FastAPI

from api_service.caller import Caller, CallerLimits, CallerLookup, Scope
from api_service.edge.door import Door

BOTH = frozenset({Scope.READ, Scope.WRITE})


class Accounts:
    """Know users by their tokens."""

    def __init__(self) -> None:
        self.callers: dict[str, Caller] = {}
        self.asked: list[str] = []

    def serve(self, app: FastAPI) -> "Accounts":
        """Have the door of a running application ask here."""
        app.state.collaborators.get(Door)._lookup = CallerLookup(self.find)
        return self

    async def find(self, token: str) -> Caller | None:
        self.asked.append(token)
        return self.callers.get(token)

    def add(
        self,
        owner_id: UUID | None = None,
        *,
        kind: str = "ppk",
        scopes: frozenset[Scope] = BOTH,
        per_minute: int | None = None,
    ) -> str:
        """Give a user a token, and return it."""
        token = f"{kind}_{uuid4().hex}"
        limits = CallerLimits(requests_per_minute=per_minute)
        self.callers[token] = Caller(owner_id or uuid4(), scopes, limits, token[:8])
        return token


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}
