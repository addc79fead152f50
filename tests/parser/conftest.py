"""A parser that may fetch from the test's own site."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from parser_service.config import Settings
from parser_service.dependencies import open_pipeline
from tests.support.pages import Pages
from tests.support.site import Site


@pytest.fixture
def settings(site: Site, redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        fetch_allowed_networks=(ip_network("127.0.0.0/8"),),
        fetch_allowed_ports=frozenset({80, 443, site.port}),
        fetch_timeout=5,
        fetch_connect_timeout=1,
    )


@pytest.fixture
async def pages(settings: Settings) -> AsyncIterator[Pages]:
    async with open_pipeline(settings) as opened:
        yield Pages(opened)
