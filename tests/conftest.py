"""Fixtures that every folder uses."""

from collections.abc import AsyncIterator

import pytest

from tests.support.servers import (  # noqa: F401 - fixtures are used by name
    database_url,
    empty_database_url,
    postgres_url,
    redis_url,
    server_folder,
    template_name,
    valkey_url,
)
from tests.support.site import Site, open_site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A web site on loopback."""
    async with open_site() as opened:
        yield opened
