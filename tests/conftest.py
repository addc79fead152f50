"""Provide the fixtures that every folder uses."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

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
from tests.support.system import RunningSystem, running

# Tests, and the processes that they start, must not find the servers that somebody works with.
for _variable in ("DATABASE_URL", "REDIS_URL"):
    os.environ.pop(_variable, None)

# A test's result must not depend on how busy the machine is.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")

_configure = structlog.configure


def _configure_without_cache(**options: Any) -> None:
    """Keep no logger: a module's logger would write for ever where one test's application wrote."""
    _configure(**options | {"cache_logger_on_first_use": False})


structlog.configure = _configure_without_cache  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    """Undo at the end what an application has configured in the test's process."""
    yield
    structlog.reset_defaults()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Open a web site on loopback."""
    async with open_site() as opened:
        yield opened


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """Start one system for all tests that do not break it."""
    folder: Path = tmp_path_factory.mktemp("system")
    with running(folder) as started:
        yield started
