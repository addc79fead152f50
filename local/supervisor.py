"""Keeps a set of processes running: starts them, restarts one that dies, stops them all."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from local.parent_death import die_with_parent

RESTART_SECONDS = 0.5
MAX_RESTART_SECONDS = 10.0
HEALTHY_SECONDS = 30
WATCH_SECONDS = 120
WATCH_PERIOD = 5
MAX_LOG_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Service:
    """A process to keep running.

    Attributes:
        log: where its output goes, appended.
        pass_fds: open files that it gets, such as a socket to listen on.
        alive_file: what it touches as it goes; if it stops doing so for `watch_seconds`, it is
            killed and restarted.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    alive_file: Path | None = None
    watch_seconds: float = WATCH_SECONDS
    pass_fds: tuple[int, ...] = ()


class Supervised:
    """One service and its current process."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the process, and again whenever it ends."""
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self, grace: float) -> None:
        """End the process: by SIGTERM, and after `grace` seconds by SIGKILL."""
        self._stopping = True
        self._signal(signal.SIGTERM)
        if self._keeping is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await asyncio.shield(self._keeping)
            self._signal(signal.SIGKILL)
            await self._keeping

    def _is_stopping(self) -> bool:
        return self._stopping  # asked anew: it changes while the process is waited for

    def _signal(self, number: signal.Signals) -> None:
        """Reach the process and, when it is to be killed, all it has started."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    async def _keep(self) -> None:
        pause = RESTART_SECONDS
        while not self._stopping:
            started = monotonic()
            status = await self._run_once()
            if self._is_stopping():
                return
            if monotonic() - started > HEALTHY_SECONDS:
                pause = RESTART_SECONDS
            print(
                f"{self.service.name} ended with status {status}; restarting in {pause:g} s "
                f"({self.service.log})",
                flush=True,
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_RESTART_SECONDS)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill a process that lives on and does nothing.

        The time of day is not looked at: a clock that is set anew must not look like silence.
        """
        touched, since = 0, monotonic()
        while (file := self.service.alive_file) is not None:
            await asyncio.sleep(WATCH_PERIOD)
            if (now := _touched(file)) != touched:
                touched, since = now, monotonic()
            elif monotonic() - since > self.service.watch_seconds:
                print(f"{self.service.name} has stopped working; killing it", flush=True)
                os.killpg(process.pid, signal.SIGKILL)

    async def _run_once(self) -> int:
        _rotate(self.service.log)
        if self.service.alive_file is not None:  # of an earlier process: says nothing of this one
            self.service.alive_file.unlink(missing_ok=True)
        with self.service.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.service.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.service.environment,
                start_new_session=True,
                pass_fds=self.service.pass_fds,
                preexec_fn=die_with_parent(),
            )
        if self._is_stopping():
            self._signal(signal.SIGTERM)
        watching = asyncio.create_task(self._watch(self._process))
        status = await self._process.wait()
        watching.cancel()
        # Whatever it left behind goes too: a restarted service must not meet its past.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return status


def _touched(file: Path) -> int:
    """When a file was touched last; 0 if it is not there."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _rotate(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.old"))
