"""Keep the logs of running processes private and small."""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from local.say import say

MAX_LOG_BYTES = 10 * 1024 * 1024
SIZE_CHECK_PERIOD_SECONDS = 1.0
FAULT_PATTERN = re.compile(r"error|exception|fatal", re.IGNORECASE)
"""What a line that tells why a process ended says. Others of its pair may write after it."""


def open_log(log: Path) -> BinaryIO:
    """Open a log to append to; only its owner may read it."""
    descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.fchmod(descriptor, 0o600)  # an earlier version left it open to all
    return os.fdopen(descriptor, "ab")


def copy_and_empty_if_long(log: Path) -> None:
    """Move what a log holds to `.log.old` if it is long; its process writes on.

    The process keeps its descriptor, so the file is copied and emptied. It appends, so its next
    line is at the beginning. Lines written between the last read and the cut would be lost: the
    loop leaves as little time as possible between them.
    """
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size <= MAX_LOG_BYTES:
            return
        with log.open("r+b") as current, open_log(log.with_suffix(".log.old")) as old:
            old.truncate(0)
            shutil.copyfileobj(current, old)
            old.flush()
            while piece := current.read(64 * 1024):
                old.write(piece)
            old.flush()
            current.truncate(0)


def last_line(log: Path) -> str:
    """Return the last line that says something, shortened; empty if there is none."""
    return next(reversed(_last_lines(log)), "")


def last_fault(log: Path) -> str:
    """Return the last line that tells of a fault, else the last line."""
    lines = _last_lines(log)
    return next(reversed([line for line in lines if FAULT_PATTERN.search(line)] or lines), "")


def _last_lines(log: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        text = file.read().decode(errors="replace")
        return [line.strip()[:300] for line in text.splitlines() if line.strip()]
    return []


async def keep_logs_small(logs: Sequence[Path]) -> None:
    """Rotate these logs whenever they are long, until cancelled."""
    while True:
        await asyncio.sleep(SIZE_CHECK_PERIOD_SECONDS)
        for log in logs:
            try:
                await asyncio.to_thread(copy_and_empty_if_long, log)
            except OSError as error:  # such as a full disk: the log is no reason to stop
                say(f"Cannot rotate {log}: {error.strerror}.")
