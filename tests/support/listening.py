"""Run a listener of the parser service in the test's own event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from parser_service.config import Settings
from parser_service.dependencies import open_listener
from parser_service.jobs.listener import Listener


@contextlib.asynccontextmanager
async def listening(settings: Settings, *, name: str = "test") -> AsyncIterator[Listener]:
    async with open_listener(settings, name=name, block_seconds=0.05) as listener:
        running = asyncio.create_task(listener.run())
        try:
            yield listener
        finally:
            listener.stop()
            await running
