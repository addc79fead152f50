"""A listener of the parser service, running in the test's own event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from parser_service.config import Settings
from parser_service.dependencies import host_limits, open_redis, task_queue
from parser_service.pipeline import open_pipeline
from parser_service.redis_listener import Listener


@contextlib.asynccontextmanager
async def listening(settings: Settings, *, name: str = "test") -> AsyncIterator[Listener]:
    async with open_redis(settings) as redis, open_pipeline(settings) as pipeline:
        listener = Listener(
            queue=task_queue(redis, settings, name=name),
            limits=host_limits(redis, settings),
            pipeline=pipeline,
            settings=settings,
            block_seconds=0.05,
        )
        running = asyncio.create_task(listener.run())
        try:
            yield listener
        finally:
            listener.stop()
            await running
