"""With a wrong password each process ends at once, with the variable and the server's reason."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import asyncpg
import pytest

from local.addresses import free_port
from local.postgres import Postgres
from local.valkey import Valkey
from tests.support.migrations import upgrade
from tests.support.servers import dsn, run
from tests.support.system import ROOT, open_to_all

WRONG = "opensesame"
MOST_SECONDS = 30
MODULES = {
    "make run": ["local"],
    "alembic": ["alembic", "upgrade", "head"],
    "api": ["uvicorn", "api_service.main:app", "--port", "0"],
    "celery": ["api_service.worker"],
    "results": ["api_service.worker.results"],
    "beat": ["api_service.worker.beat", "beat-schedule"],
    "listener": ["parser_service.redis_listener"],
    "parser": ["uvicorn", "parser_service.main:app", "--port", "0"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("passwords")
    open_to_all(folder)
    return folder


@pytest.fixture(scope="module")
def guarded_database_url(folder: Path) -> Iterator[str]:
    """Start a PostgreSQL that asks for a password, with a migrated database."""
    server = Postgres(folder / "database", durable=False, port=free_port())
    server.start()
    upgrade(server.url)

    async def require_password() -> None:
        connection = await asyncpg.connect(dsn(server.url))
        await connection.execute("ALTER ROLE postgres PASSWORD 'right'")
        (server.data_folder / "data" / "pg_hba.conf").write_text("host all all all scram-sha-256\n")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()

    run(require_password())
    yield server.url.replace("postgres@", "postgres:right@")
    server.stop()


@pytest.fixture(scope="module")
def guarded_redis_url(folder: Path) -> Iterator[str]:
    server = Valkey(folder / "redis", durable=False, password="right")
    server.start()
    yield server.url
    server.stop()


def _start(name: str, folder: Path, **environment: str) -> list[str]:
    """Start a process, wait for its end, and return what it wrote, by lines."""
    variables = {
        "API_PORT": str(free_port()),
        "PARSER_PORT": str(free_port()),
        "DATA_DIR": str(folder / "data"),
        "PYTHONPATH": str(ROOT),
    }
    started = monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", *MODULES[name]],
        cwd=ROOT if name in ("make run", "alembic") else folder,
        env=os.environ | variables | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert monotonic() - started < MOST_SECONDS
    assert ended.returncode == 1, ended.stdout
    assert "Traceback" not in ended.stdout
    return ended.stdout.strip().splitlines()


@pytest.mark.parametrize("name", ["make run", "alembic", "api", "celery", "results"])
def test_a_wrong_password_of_postgresql_is_said_at_once(
    tmp_path: Path, guarded_database_url: str, guarded_redis_url: str, name: str
) -> None:
    open_to_all(tmp_path)
    url = guarded_database_url.replace(":right@", f":{WRONG}@")
    lines = _start(name, tmp_path, DATABASE_URL=url, REDIS_URL=guarded_redis_url)
    reason = (
        'DATABASE_URL: cannot use the database: password authentication failed for user "postgres".'
    )
    assert reason in lines[-1]
    _keeps_the_password(lines, tmp_path)


@pytest.mark.parametrize(
    "name", ["make run", "api", "celery", "results", "beat", "listener", "parser"]
)
def test_a_wrong_password_of_redis_is_said_at_once(
    tmp_path: Path, guarded_database_url: str, guarded_redis_url: str, name: str
) -> None:
    open_to_all(tmp_path)
    url = guarded_redis_url.replace(":right@", f":{WRONG}@")
    lines = _start(name, tmp_path, DATABASE_URL=guarded_database_url, REDIS_URL=url)
    assert lines[-1].startswith("REDIS_URL: Redis refuses ")
    assert lines[-1].endswith(": invalid username-password pair or user is disabled.")
    _keeps_the_password(lines, tmp_path)


@pytest.mark.parametrize("name", ["results", "beat", "listener"])
@pytest.mark.parametrize(
    ("given", "changed", "reason"),
    [(":right@", "", "authenticated"), ("/0", "/9999", "DB index is out of range.")],
)
def test_a_missing_password_or_database_of_redis_is_said_at_once(
    *,
    tmp_path: Path,
    guarded_database_url: str,
    guarded_redis_url: str,
    name: str,
    given: str,
    changed: str,
    reason: str,
) -> None:
    url = guarded_redis_url.replace(given, changed)
    lines = _start(name, tmp_path, DATABASE_URL=guarded_database_url, REDIS_URL=url)
    assert lines[-1].startswith("REDIS_URL: Redis refuses the connection: ")
    assert reason in lines[-1]


@pytest.mark.parametrize("name", ["results", "beat", "listener"])
async def test_a_redis_that_does_not_answer_yet_is_waited_for(
    tmp_path: Path, guarded_database_url: str, name: str
) -> None:
    address = f"redis://127.0.0.1:{free_port()}/0"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *MODULES[name]),
        cwd=tmp_path,
        env=os.environ
        | {"DATABASE_URL": guarded_database_url, "REDIS_URL": address, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(MOST_SECONDS):
            while b"retry_in" not in (line := await process.stdout.readline()):
                assert line or process.returncode is None
                if b"Trying again" in line:
                    break
        assert process.returncode is None
    finally:
        process.kill()
        await process.communicate()


def _keeps_the_password(lines: list[str], folder: Path) -> None:
    written = [*lines, *(log.read_text() for log in folder.rglob("*.log"))]
    assert not [text for text in written if WRONG in text]
