"""Keep a process running: start it, restart it if it dies or hangs, stop it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from local.logs import open_log
from local.parent_death import make_die_with_parent
from local.say import say

FIRST_RESTART_PAUSE_SECONDS = 0.5
MAX_RESTART_PAUSE_SECONDS = 10.0
HEALTHY_SECONDS = 30
"""Seconds of running after which the next restart comes after the first pause again."""
WATCH_SECONDS = 120
"""Seconds that a process may leave its alive file untouched, unless its spec says otherwise."""
ALIVE_CHECK_PERIOD_SECONDS = 5
CANNOT_START_STATUS = 126
"""What a shell says of a command that it cannot start."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """Describe a process to keep running.

    Attributes:
        log: the file that its output is appended to.
        alive_file: the file that it touches while it works. If it does not touch the file for
            `watch_seconds`, it is killed and restarted.
        pass_fds: file descriptors that it inherits, such as a socket to listen on.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    alive_file: Path | None = None
    watch_seconds: float = WATCH_SECONDS
    pass_fds: tuple[int, ...] = ()


class SupervisedProcess:
    """Keep one process running, restarting it when it ends."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.ends: list[int] = []
        """The status of each time that the process ended unasked."""
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the process; restart it whenever it ends."""
        self._running = asyncio.create_task(self._run_until_stopped())

    async def stop(self, grace: float) -> None:
        """Stop the process by SIGTERM, or by SIGKILL if it still runs after `grace` seconds."""
        self._stopping = True
        self._send_signal(signal.SIGTERM)
        if self._running is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await asyncio.shield(self._running)
            self._send_signal(signal.SIGKILL)
            await self._running

    def _is_stopping(self) -> bool:
        return self._stopping  # a method: mypy must not assume that it never changes

    def _send_signal(self, number: signal.Signals) -> None:
        """Signal the process; SIGKILL also reaches everything that it started."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    async def _run_until_stopped(self) -> None:
        pause = FIRST_RESTART_PAUSE_SECONDS
        while not self._stopping:
            started = monotonic()
            try:
                status = await self._run_once()
            except OSError as error:  # such as a full disk: it may have room again
                say(f"{self.spec.name} could not be started: {error.strerror}")
                status = CANNOT_START_STATUS
            if self._is_stopping():
                return
            self.ends.append(status)
            if monotonic() - started > HEALTHY_SECONDS:
                pause = FIRST_RESTART_PAUSE_SECONDS
            say(
                f"{self.spec.name} ended with status {status}; restarting in {pause:g} s "
                f"({self.spec.log})",
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_RESTART_PAUSE_SECONDS)

    async def _kill_whenever_stuck(self, process: asyncio.subprocess.Process) -> None:
        """Kill the process if it lives but does not work.

        Compare touches by running time, not by the time of day: setting the clock must not look
        like a hanging process.
        """
        touched, since = 0, monotonic()
        while (file := self.spec.alive_file) is not None:
            await asyncio.sleep(ALIVE_CHECK_PERIOD_SECONDS)
            if (now := _touch_time(file)) != touched:
                touched, since = now, monotonic()
            elif monotonic() - since > self.spec.watch_seconds:
                say(f"{self.spec.name} has stopped working; killing it")
                os.killpg(process.pid, signal.SIGKILL)

    async def _run_once(self) -> int:
        """Run the process to its end, kill what it leaves running, and return its status."""
        if self.spec.alive_file is not None:  # an earlier process left it
            self.spec.alive_file.unlink(missing_ok=True)
        with open_log(self.spec.log) as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.spec.environment,
                start_new_session=True,
                pass_fds=self.spec.pass_fds,
                preexec_fn=make_die_with_parent(),
            )
        if self._is_stopping():
            self._send_signal(signal.SIGTERM)
        watching = asyncio.create_task(self._kill_whenever_stuck(self._process))
        status = await self._process.wait()
        watching.cancel()
        # Kill what it left running: a restarted process must not meet its predecessor's children.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return status


def _touch_time(file: Path) -> int:
    """Return when a file was last touched, in nanoseconds; 0 if it does not exist."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
