"""Open APIs in which users register, log in and call."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from tests.api.accounts.people import People
from tests.support.app_client import OpenApp

OpenPeople = Callable[..., AbstractAsyncContextManager[People]]


@pytest.fixture
def open_people(open_api: OpenApp) -> OpenPeople:
    """Open an API, as often as there are processes."""

    @asynccontextmanager
    async def opened(**changes: object) -> AsyncIterator[People]:
        async with open_api(**changes) as client:
            yield People(client)

    return opened


@pytest.fixture
async def people(open_people: OpenPeople) -> AsyncIterator[People]:
    async with open_people() as opened:
        yield opened
