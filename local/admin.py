"""Make an administrator of the system that runs on this machine: `python -m local admin EMAIL`."""

import fcntl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local.errors import StartError
from local.postgres import Postgres


def create_admin(email: str, environment: Mapping[str, str], root: Path) -> int:
    """Have the accounts' own command create an administrator; return its exit status.

    Args:
        email: of the administrator. The command asks for the password.
        environment: names the data folder, or a database of its own.
        root: of the project.

    Raises:
        StartError: the system does not run.
    """
    if not email:
        raise StartError("Name the administrator, such as: make admin EMAIL=ada@example.org")
    url = environment.get("DATABASE_URL") or _url_of_running_server(environment)
    return subprocess.run(
        [sys.executable, "-m", "api_service.accounts", "create-admin", email],
        env={**environment, "DATABASE_URL": url},
        cwd=root,
        check=False,
    ).returncode


def _url_of_running_server(environment: Mapping[str, str]) -> str:
    folder = Path(environment.get("DATA_DIR") or ".data").resolve()
    if not _is_in_use(folder / "lock"):
        raise StartError(
            f"No system runs on {folder}. Start it in another terminal with make run, or name its "
            f"folder with DATA_DIR, or its database with DATABASE_URL."
        )
    return Postgres(folder).url


def _is_in_use(lock: Path) -> bool:
    """Return whether a running system has locked its folder."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StartError(f"Cannot use {lock}: {error.strerror}.") from None
    return False
