"""The first administrator is made on the machine."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from local import admin as local_admin
from local.errors import StartError
from tests.api.accounts.people import ADA, PASSWORD, People
from tests.support.system import ROOT
from tests.support.waiting import until

COMMAND = [sys.executable, "-m", "api_service.accounts", "create-admin"]


def _run(
    database_url: str, typed: str | None, email: str = ADA
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, email],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url},
        input=typed,
        stdin=subprocess.DEVNULL if typed is None else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_an_administrator_is_made_from_standard_input(
    database_url: str, people: People
) -> None:
    made = _run(database_url, f"{PASSWORD}\n", "  ADA@example.org ")
    assert made.returncode == 0, made.stderr
    assert made.stderr == f"{ADA} is an administrator now.\n"
    assert PASSWORD not in made.stdout
    assert '"action":"admin.created","actor":"operator"' in made.stdout
    token = await people.log_in()
    me = (await people.me(token)).json()
    assert (me["role"], me["scopes"]) == ("admin", ["admin", "read", "write"])


async def test_an_account_that_is_there_becomes_an_administrator(
    database_url: str, people: People, connection: asyncpg.Connection
) -> None:
    token = await people.join()
    id = (await people.me(token)).json()["id"]
    key = (await people.create_key(token))["key"]
    await connection.execute(
        "UPDATE users SET is_active = false, limits = '{\"requests_per_minute\": 0}'"
    )
    made = _run(database_url, "eight dry owls")
    assert made.returncode == 0, made.stderr
    assert made.stderr.startswith(f"{ADA} had an account.")

    async def is_dead() -> bool:
        return (await people.me(token)).status_code == 401

    await until(is_dead, seconds=1)
    assert (await people.try_login(password=PASSWORD)).status_code == 401
    me = (await people.me(await people.log_in(password="eight dry owls"))).json()
    assert (me["id"], me["role"]) == (id, "admin")
    assert me["limits"]["requests_per_minute"] == 60_000
    assert (await people.me(key)).status_code == 401


@pytest.mark.parametrize(
    ("typed", "email", "words"),
    [
        ("short\n", ADA, "fewer than 8"),
        ("password\n", ADA, "commonest"),
        (None, ADA, "Nothing was changed."),
        (PASSWORD, "ada", "EMAIL must be an address"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(
    database_url: str,
    connection: asyncpg.Connection,
    typed: str | None,
    email: str,
    words: str,
) -> None:
    refused = _run(database_url, typed, email)
    assert refused.returncode == 1
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert await connection.fetchval("SELECT count(*) FROM users") == 0


def test_without_the_migration_it_says_what_to_run(empty_database_url: str) -> None:
    refused = _run(empty_database_url, PASSWORD)
    assert refused.returncode == 1
    assert "Run: alembic upgrade head" in refused.stderr


@pytest.mark.parametrize("arguments", [[], ["create-admin"], ["create-admin", "a", "b"], ["x"]])
def test_anything_else_shows_how_to_use_it(arguments: list[str]) -> None:
    shown = subprocess.run(
        [*COMMAND[:-1], *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 2
    assert "create-admin EMAIL" in shown.stderr


@pytest.mark.parametrize(("second", "status"), [(PASSWORD, 0), ("another one", 1)])
def test_a_prompt_asks_twice_and_shows_nothing(database_url: str, second: str, status: int) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, ADA],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509 - no threads here
    )
    os.close(terminal)
    shown = b""
    for prompt, typed in ((b"Password: ", PASSWORD), (b"again: ", second)):
        while prompt not in shown:
            shown += os.read(controller, 1000)
        os.write(controller, f"{typed}\n".encode())
    try:
        while piece := os.read(controller, 1000):
            shown += piece
    except OSError:
        pass  # the terminal has no other end any more
    os.close(controller)
    assert process.wait(timeout=60) == status
    assert PASSWORD.encode() not in shown
    assert second.encode() not in shown
    assert (b"is an administrator now" in shown) == (status == 0)


def test_make_admin_needs_a_system_that_runs(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(StartError, match="No system runs"):
            local_admin.create_admin(ADA, {"DATA_DIR": str(folder)}, ROOT)
    with pytest.raises(StartError, match="make admin EMAIL="):
        local_admin.create_admin("", {}, ROOT)
