"""Bring the database to the newest migration."""

import asyncio
import os
import sys
from pathlib import Path

from local.errors import StartError
from local.logs import last_line, open_log


async def migrate(root: Path, environment: dict[str, str], log: Path) -> None:
    """Run the migrations.

    Raises:
        StartError: the message has the last line that they wrote.
    """
    with open_log(log) as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "alembic", "upgrade", "head"),
            stdout=output,
            stderr=output,
            cwd=root,
            env=os.environ | environment,
            start_new_session=True,
        )
        if await process.wait() == 0:
            return
    raise StartError(f"Cannot migrate the database: {last_line(log) or 'no output'} (see {log})")
