"""Make folders in memory, for files that a full disk must not touch."""

import os
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only we may enter the folder in it


def make_memory_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder in memory; on a machine that has no place for it there, among temporary files.

    Processes map the files of their metrics into their memory. On a full disk the kernel kills
    whoever writes there.
    """
    in_memory = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else None
    return tempfile.TemporaryDirectory(
        prefix="page-parser-", dir=in_memory, ignore_cleanup_errors=True
    )
