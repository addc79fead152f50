"""Provide an API that knows its callers by their tokens, as the door of the house does."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from fastapi import Request

from api_service.caller import ANONYMOUS, Caller, CallerLookup
from api_service.dependencies import current_caller
from api_service.edge.session_cookie import COOKIE_NAME, SECURE_COOKIE_NAME
from api_service.exceptions import NotAuthenticatedError
from tests.api.accounts.people import People
from tests.support.app_client import OpenApp


async def _by_token(request: Request) -> Caller:
    """Stand in for the door: a token or a cookie names the caller."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        token = request.cookies.get(SECURE_COOKIE_NAME) or request.cookies.get(COOKIE_NAME, "")
    if not token or request.url.path in ("/auth/login", "/auth/session"):
        return ANONYMOUS
    lookup = request.app.state.collaborators.get(CallerLookup)
    caller: Caller | None = await lookup.find(token)
    if caller is None:
        raise NotAuthenticatedError
    return caller


OpenPeople = Callable[..., AbstractAsyncContextManager[People]]


@pytest.fixture
def open_people(open_api: OpenApp) -> OpenPeople:
    """Open an API, as often as there are processes."""

    @asynccontextmanager
    async def opened(**changes: object) -> AsyncIterator[People]:
        async with open_api(**changes) as client:
            client.app.dependency_overrides[current_caller] = _by_token
            yield People(client)

    return opened


@pytest.fixture
async def people(open_people: OpenPeople) -> AsyncIterator[People]:
    async with open_people() as opened:
        yield opened
