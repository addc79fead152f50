"""Act as users of the API."""

from typing import Any

import asyncpg
import httpx

from tests.support.app_client import AppClient

PASSWORD = "seven wet owls"
ADA, BOB = "ada@example.org", "bob@example.org"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class People:
    """Register, log in and call, at one process of the API."""

    def __init__(self, client: AppClient) -> None:
        self.client = client
        self.app = client.app

    def at(self, address: str) -> "People":
        """Return the same API, seen from another address."""
        return People(self.client.from_address(address))

    async def register(self, email: str = ADA, password: str = PASSWORD) -> dict[str, Any]:
        response = await self.client.post(
            "/auth/register", json={"email": email, "password": password}
        )
        assert response.status_code == 201, response.text
        found: dict[str, Any] = response.json()
        return found

    async def try_login(self, email: str = ADA, password: str = PASSWORD) -> httpx.Response:
        return await self.client.post("/auth/login", json={"email": email, "password": password})

    async def log_in(self, email: str = ADA, password: str = PASSWORD) -> str:
        response = await self.try_login(email, password)
        assert response.status_code == 200, response.text
        token: str = response.json()["token"]
        return token

    async def join(self, email: str = ADA, password: str = PASSWORD) -> str:
        """Register and log in; return the token."""
        await self.register(email, password)
        return await self.log_in(email, password)

    async def join_as_admin(self, connection: asyncpg.Connection, email: str) -> str:
        await self.register(email)
        await connection.execute("UPDATE users SET role = 'admin' WHERE email = $1", email)
        return await self.log_in(email)

    async def call(
        self, method: str, path: str, token: str | None = None, **options: Any
    ) -> httpx.Response:
        headers = bearer(token) if token else {}
        return await self.client.request(method, path, headers=headers, **options)

    async def me(self, token: str | None = None) -> httpx.Response:
        return await self.call("GET", "/auth/me", token)

    async def create_key(self, token: str, **members: Any) -> dict[str, Any]:
        response = await self.call("POST", "/auth/keys", token, json={"name": "k", **members})
        assert response.status_code == 201, response.text
        found: dict[str, Any] = response.json()
        return found
