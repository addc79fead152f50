"""A parser that may fetch from the test's own site."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from parser_service.config import Settings
from parser_service.handler import PageHandler, open_handler
from tests.support.site import Site


@pytest.fixture
def settings(site: Site) -> Settings:
    return Settings(
        fetch_allowed_networks=(ip_network("127.0.0.0/8"),),
        fetch_allowed_ports=frozenset({80, 443, site.port}),
        fetch_timeout=5,
        fetch_connect_timeout=1,
    )


@pytest.fixture
async def handler(settings: Settings) -> AsyncIterator[PageHandler]:
    async with open_handler(settings) as opened:
        yield opened
