"""Share the load; each module has a `deployment` of its own, with its own settings."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.deployment import Deployment
from tests.support.load import Load, load_on


@pytest_asyncio.fixture(loop_scope="module")
async def load(deployment: Deployment) -> AsyncIterator[Load]:
    """Make clients of the module's deployment, once all of its services are ready."""
    await deployment.until_ready()
    yield load_on(deployment.system.url, deployment.site)
