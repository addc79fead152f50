"""Provide a parser that may fetch from the test's own site."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from parser_service.config import Settings
from parser_service.dependencies import open_pipeline
from parser_service.main import create_app
from tests.support.app_client import AppClient, OpenApp, open_app
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


@pytest.fixture
def open_parser(settings: Settings) -> OpenApp:
    """Open the parser's HTTP side with the test's settings, some of them changed by keyword."""
    return lambda **changes: open_app(create_app(settings.model_copy(update=changes)))


@pytest.fixture
async def client(open_parser: OpenApp) -> AsyncIterator[AppClient]:
    async with open_parser() as opened:
        yield opened
