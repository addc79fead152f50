"""Show a supervisor that this process's event loop turns: touch a file every second."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

TOUCH_PERIOD_SECONDS = 1.0


@asynccontextmanager
async def touch_while_alive(path: Path | None) -> AsyncIterator[None]:
    """Touch a file as long as the block runs and the event loop turns; without a path, do nothing.

    `process_pair.sh` kills a process whose file has not been touched for a while.
    """

    async def keep_touching(file: Path) -> None:
        while True:
            with contextlib.suppress(OSError):  # where there is no room, work goes on
                file.touch()  # noqa: ASYNC240 - a file in memory, in a blink
            await asyncio.sleep(TOUCH_PERIOD_SECONDS)

    touching = asyncio.create_task(keep_touching(path)) if path else None
    try:
        yield
    finally:
        if touching:
            touching.cancel()
