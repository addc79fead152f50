"""Touch alive files: a supervisor kills a process that stops touching its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

TOUCH_PERIOD_SECONDS = 1.0


@asynccontextmanager
async def touch_while_alive(path: Path | None) -> AsyncIterator[None]:
    """Touch a file every second while the event loop turns; without a path, do nothing."""

    async def keep_touching() -> None:
        while True:
            touch_alive_file(path)
            await asyncio.sleep(TOUCH_PERIOD_SECONDS)

    touching = asyncio.create_task(keep_touching()) if path else None
    try:
        yield
    finally:
        if touching:
            touching.cancel()


def touch_alive_file(path: Path | None) -> None:
    """Show the supervisor that this process is alive; without a path, do nothing.

    Fast enough for the event loop: the file lies in memory.
    """
    if path:
        with contextlib.suppress(OSError):  # where there is no room, work goes on
            path.touch()
