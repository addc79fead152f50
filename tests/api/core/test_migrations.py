"""Migrations, up and down, on a real PostgreSQL; services refuse any other schema."""

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.exceptions import SchemaOutdatedError
from api_service.schema import NEWEST_MIGRATION, OLDER_MIGRATIONS
from tests.support.migrations import ROOT, alembic
from tests.support.servers import dsn


def _revisions() -> list[str]:
    scripts = ScriptDirectory.from_config(Config(str(ROOT / "alembic.ini")))
    return [script.revision for script in scripts.walk_revisions()][::-1]


def test_the_code_names_all_migrations() -> None:
    *older, newest = _revisions()
    assert newest == NEWEST_MIGRATION
    assert set(older) == OLDER_MIGRATIONS


async def _schema(url: str) -> list[tuple[str, ...]]:
    connection = await asyncpg.connect(dsn(url))
    rows = await connection.fetch(
        "SELECT table_name, column_name, data_type, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_schema = 'public'"
        " UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes"
        " WHERE schemaname = 'public' UNION ALL"
        " SELECT typname, '', '', '', '' FROM pg_type WHERE typtype = 'e' ORDER BY 1, 2, 3"
    )
    await connection.close()
    return [tuple(map(str, row)) for row in rows if row[0] != "alembic_version"]


async def test_every_step_leads_up_and_back_down(empty_database_url: str) -> None:
    schemas = [await _schema(empty_database_url)]
    for revision in _revisions():
        assert alembic(empty_database_url, "upgrade", revision).returncode == 0
        schemas.append(await _schema(empty_database_url))
    assert schemas[0] == []
    for before in schemas[-2::-1]:
        result = alembic(empty_database_url, "downgrade", "-1")
        assert result.returncode == 0, result.stderr
        assert await _schema(empty_database_url) == before


def test_models_and_migrations_are_in_step(database_url: str) -> None:
    result = alembic(database_url, "check")
    assert result.returncode == 0, result.stderr


def test_two_that_migrate_at_once_do_not_collide(empty_database_url: str) -> None:
    environment = os.environ | {"DATABASE_URL": empty_database_url}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    running = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()


def test_a_password_with_a_percent_sign_reaches_alembic(database_url: str) -> None:
    url = database_url.replace("postgres@", "postgres:a%25b@")
    assert alembic(url, "current").returncode == 0


@pytest.mark.parametrize("revision", [None, *_revisions()[:-1]])
async def test_no_service_starts_on_an_older_schema(
    empty_database_url: str, revision: str | None
) -> None:
    if revision is not None:
        assert alembic(empty_database_url, "upgrade", revision).returncode == 0
    database = Database(read_database_url(empty_database_url), timeout=5)
    with pytest.raises(SchemaOutdatedError, match=f"at migration {revision or 'none'}, .* head$"):
        await database.wait_and_require_usable()
    await database.dispose()


@pytest.fixture
async def newer_database_url(database_url: str, connection: asyncpg.Connection) -> str:
    """Provide a database that a later version has migrated."""
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    return database_url


async def test_a_service_starts_on_a_newer_schema(newer_database_url: str) -> None:
    database = Database(read_database_url(newer_database_url), timeout=5)
    await database.wait_and_require_usable()
    await database.dispose()


def test_an_upgrade_leaves_a_newer_schema_as_it_is(newer_database_url: str) -> None:
    result = alembic(newer_database_url, "upgrade", "head")
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        (
            "The database is at migration 9999, which is newer than this version; "
            "there is nothing to do."
        )
    ]


def test_a_downgrade_of_a_newer_schema_is_refused_in_one_sentence(newer_database_url: str) -> None:
    result = alembic(newer_database_url, "downgrade", "-1")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        (
            "The database is at migration 9999, which is newer than this version. "
            "Use the version that has this migration."
        )
    ]


@pytest.mark.parametrize(
    "command",
    [
        ["uvicorn", "api_service.main:app", "--port", "0"],
        ["api_service.worker.results"],
        ["celery", "-A", "api_service.celery_app", "worker", "--pool=solo"],
    ],
)
def test_a_service_on_an_outdated_schema_ends_with_what_to_run(
    empty_database_url: str, redis_url: str, command: list[str], tmp_path: Path
) -> None:
    environment = os.environ | {"DATABASE_URL": empty_database_url, "REDIS_URL": redis_url}
    result = subprocess.run(
        [sys.executable, "-m", *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode != 0
    assert "Run: alembic upgrade head" in result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout
