"""A parser that may fetch from the test's own site."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from ipaddress import ip_network

import pytest

from parser_service.config import Settings
from parser_service.handler import PageHandler, open_handler
from parser_service.responses import Page
from parser_service.visits import JobVisit
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


class Pages:
    """A handler, asked without regard to hosts' limits."""

    def __init__(self, handler: PageHandler) -> None:
        self.handler = handler

    async def get(
        self, url: str, *, respect_robots: bool = False, title_fallback: bool = False
    ) -> Page:
        visit = JobVisit(None, b"", respect_robots=respect_robots)
        async with AsyncExitStack() as holding:
            return await self.handler.handle(
                url, visit=visit, holding=holding, title_fallback=title_fallback
            )


@pytest.fixture
async def pages(settings: Settings) -> AsyncIterator[Pages]:
    async with open_handler(settings) as opened:
        yield Pages(opened)
