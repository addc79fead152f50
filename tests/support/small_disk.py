"""Give a server a disk of its own that can be full, where this process may mount one.

Only root may mount, and not in every container. The file system is in memory. It fills up by being
made as small as what it holds, which costs no memory.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 4 * 1024**3
SLACK = 16 * 4096
"""The server goes on writing between the look at what is used and the new size."""


class SmallDisk:
    """A mounted file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self) -> None:
        """Leave no room for any more data.

        Raises:
            OSError: the file system kept growing.
        """
        for _ in range(50):
            sizes = os.statvfs(self._folder)
            used = (sizes.f_blocks - sizes.f_bfree) * sizes.f_frsize
            if self._resize(used + SLACK):
                return
        raise OSError(f"cannot fill {self._folder}")

    def make_room(self) -> None:
        """End that."""
        assert self._resize(SIZE)

    def _resize(self, size: int) -> bool:
        return _run("mount", "-o", f"remount,size={size}", str(self._folder))


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk | None]:
    """Mount a disk on a folder during the block; yield None where that is not allowed."""
    folder.mkdir(parents=True)
    if os.geteuid() or not _run("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)):
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> bool:
    try:
        return not subprocess.run(command, capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False
