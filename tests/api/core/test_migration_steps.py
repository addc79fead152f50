"""No migration reads or rewrites a table while it keeps other sessions away from it."""

import re

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.support.migrations import ROOT, alembic
from tests.support.servers import dsn

pytestmark = pytest.mark.slow

FILE = "SELECT pg_relation_filenode(to_regclass('parse_requests'))"
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"

INDEX = re.compile(r"^CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)\S.* ON (\w+)", re.MULTILINE)
TABLE = re.compile(r"^CREATE TABLE (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
READS_ALL_ROWS = re.compile(
    r"^ALTER TABLE .*( TYPE | SET NOT NULL|ADD (CONSTRAINT|CHECK|FOREIGN|UNIQUE|PRIMARY)"
    r"|DEFAULT (?!now\(\)|false|true|'|\d))",
    re.MULTILINE,
)
"""Changes of a table for which PostgreSQL reads or rewrites it: they have ways of their own."""


def _revisions() -> list[str]:
    scripts = ScriptDirectory.from_config(Config(str(ROOT / "alembic.ini")))
    return [script.revision for script in scripts.walk_revisions()][::-1]


STEPS = list(zip(_revisions(), _revisions()[1:], strict=False))


def _sql(command: str, steps: str) -> str:
    result = alembic("postgresql+asyncpg://postgres@127.0.0.1:1/none", command, steps, "--sql")
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(("older", "newer"), [("base", _revisions()[0]), *STEPS])
def test_an_index_on_a_table_with_rows_is_built_next_to_other_statements(
    older: str, newer: str
) -> None:
    for sql in (_sql("upgrade", f"{older}:{newer}"), _sql("downgrade", f"{newer}:{older}")):
        assert set(INDEX.findall(sql)) <= set(TABLE.findall(sql)), sql
        assert not READS_ALL_ROWS.search(sql), sql


async def test_no_migration_rewrites_the_table(empty_database_url: str) -> None:
    first, *later = _revisions()
    assert alembic(empty_database_url, "upgrade", first).returncode == 0
    connection = await asyncpg.connect(dsn(empty_database_url))
    await connection.execute(
        "INSERT INTO parse_requests (url) SELECT 'https://a.example/' FROM generate_series(1, 100)"
    )
    file = await connection.fetchval(FILE)
    downwards = reversed([first, *later[:-1]])
    steps = [("upgrade", revision) for revision in later]
    for command, revision in [*steps, *(("downgrade", revision) for revision in downwards)]:
        result = alembic(empty_database_url, command, revision)
        assert result.returncode == 0, result.stderr
        assert await connection.fetchval(FILE) == file, (command, revision)
        assert not await connection.fetch(INVALID), (command, revision)
    assert await connection.fetchval("SELECT count(*) FROM parse_requests") == 100
    await connection.close()


async def test_a_migration_whose_index_was_not_built_runs_again(empty_database_url: str) -> None:
    """A backup that began before holds up the building, and nothing but the building."""
    first, second = _revisions()[:2]
    assert alembic(empty_database_url, "upgrade", first).returncode == 0
    assert alembic(empty_database_url, "upgrade", second).returncode == 0
    connection = await asyncpg.connect(dsn(empty_database_url))
    # As it is when the building has failed: the columns are there, the index is not valid.
    await connection.execute(
        f"UPDATE alembic_version SET version_num = '{first}';"
        " UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'ix_parse_requests_next_attempt_at'::regclass"
    )
    result = alembic(empty_database_url, "upgrade", "head")
    assert result.returncode == 0, result.stderr
    assert not await connection.fetch(INVALID)
    await connection.close()
