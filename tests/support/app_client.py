"""Open a FastAPI application in the test's own process and speak to it without a socket."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import httpx
from fastapi import FastAPI

ADDRESS = "127.0.0.1"


class AppClient(httpx.AsyncClient):
    """Call an application directly.

    Args:
        app: the application, after its start.
        address: where its requests seem to come from.
    """

    def __init__(self, app: FastAPI, *, address: str = ADDRESS) -> None:
        super().__init__(
            transport=httpx.ASGITransport(app, client=(address, 1234)),
            base_url="http://localhost",
            trust_env=False,
        )
        self.app = app

    def from_address(self, address: str) -> "AppClient":
        """Return another client of the same application, at another address."""
        return AppClient(self.app, address=address)


OpenApp = Callable[..., AbstractAsyncContextManager[AppClient]]
"""Open an application with the test's settings, some of them changed by keyword."""


@contextlib.asynccontextmanager
async def open_app(app: FastAPI) -> AsyncIterator[AppClient]:
    """Start an application, yield a client of it, and stop it."""
    async with app.router.lifespan_context(app), AppClient(app) as client:
        yield client
