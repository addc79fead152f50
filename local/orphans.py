"""Find and end what a killed server left running in its data folder.

A postmaster that is killed leaves its children, which hold its shared memory: a new one refuses
to start until they have ended. They are told by the folder that they run in.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from local.errors import StartError

WAIT_BEFORE_KILL_SECONDS = 5.0
"""Time to end by themselves: children notice that their postmaster is gone."""
WAIT_AFTER_KILL_SECONDS = 5.0


def processes_in(folder: Path, program: str) -> list[int]:
    """Return the ids of the processes of a program whose working directory is this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to somebody else
            if (entry / "cwd").readlink() != folder:
                continue
            if (entry / "comm").read_text().strip() == program:  # not a shell that looks around
                found.append(int(entry.name))
    return found


def wait_or_kill_processes_in(folder: Path, program: str) -> None:
    """Return once no process of the program runs in the folder; kill those that stay.

    Raises:
        StartError: they cannot be killed.
    """
    if _wait_until_gone(folder, program, WAIT_BEFORE_KILL_SECONDS):
        return
    for process in processes_in(folder, program):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    if not _wait_until_gone(folder, program, WAIT_AFTER_KILL_SECONDS):
        ids = ", ".join(map(str, processes_in(folder, program)))
        raise StartError(f"An earlier {program} still runs in {folder}; end its processes: {ids}.")


def drop_lock_of_reused_pid(lock: Path) -> None:
    """Delete a lock file whose process id now belongs to another program.

    Call it when no server runs in the folder. PostgreSQL itself deletes the lock of a process that
    has ended; it cannot tell that an id was given to somebody else, such as after a power failure.
    """
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        owner = int(lock.read_text().splitlines()[0])
        if Path(f"/proc/{owner}").exists():
            lock.unlink()


def _wait_until_gone(folder: Path, program: str, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while processes_in(folder, program):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
