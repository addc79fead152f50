"""A start that cannot succeed ends at once, with the variable and the server's own reason."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.exceptions import DatabaseUnavailableError, SchemaOutdatedError
from tests.support.migrations import ROOT, alembic
from tests.support.servers import with_database


@pytest.fixture
async def stranger_url(database_url: str, connection: asyncpg.Connection) -> AsyncIterator[str]:
    """Provide the URL of a role that may connect and read nothing."""
    name = f"stranger_{urlsplit(database_url).path.strip('/')}"[:60]
    await connection.execute(f"CREATE ROLE {name} LOGIN")
    yield database_url.replace("postgres@", f"{name}:confidential@")
    await connection.execute(f"DROP ROLE {name}")


async def _start(url: str) -> None:
    database = Database(read_database_url(url), timeout=5)
    try:
        async with asyncio.timeout(10):
            await database.wait_and_require_usable()
    finally:
        await database.dispose()


async def test_a_missing_right_is_not_taken_for_a_missing_table(stranger_url: str) -> None:
    with pytest.raises(DatabaseUnavailableError) as refused:
        await _start(stranger_url)
    message = str(refused.value)
    assert message.startswith("DATABASE_URL: ")
    assert "permission denied for table alembic_version" in message
    assert "confidential" not in message


async def test_a_missing_table_still_names_the_command(empty_database_url: str) -> None:
    with pytest.raises(SchemaOutdatedError, match="alembic upgrade head"):
        await _start(empty_database_url)


async def test_a_missing_role_or_database_ends_the_start_at_once(database_url: str) -> None:
    nobody = database_url.replace("postgres@", "nobody_here:confidential@")
    with pytest.raises(DatabaseUnavailableError, match=r'^DATABASE_URL: .*"nobody_here"'):
        await _start(nobody)
    nowhere = with_database(database_url, "not_there")
    with pytest.raises(DatabaseUnavailableError, match=r'^DATABASE_URL: .*"not_there"'):
        await _start(nowhere)


def test_alembic_says_the_servers_reason_in_one_line(database_url: str) -> None:
    result = alembic(with_database(database_url, "not_there"), "upgrade", "head")
    assert result.returncode == 1
    assert result.stderr.strip().splitlines() == [
        'DATABASE_URL: cannot use the database: database "not_there" does not exist.'
    ]


@pytest.mark.parametrize(
    "command", [["uvicorn", "api_service.main:app", "--port", "0"], ["api_service.worker.results"]]
)
def test_a_service_ends_with_the_servers_reason(
    database_url: str, redis_url: str, command: list[str], tmp_path: Path
) -> None:
    environment = os.environ | {
        "DATABASE_URL": with_database(database_url, "not_there"),
        "REDIS_URL": redis_url,
    }
    result = subprocess.run(
        [sys.executable, "-m", *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert result.returncode != 0
    said = result.stderr + result.stdout
    assert 'DATABASE_URL: cannot use the database: database "not_there" does not exist.' in said
    assert "Traceback" not in said
