"""A pooler before PostgreSQL: sessions of one's own work, shared ones are refused at start."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from api_service.database import Database
from api_service.database_address import read_database_url
from api_service.exceptions import TransactionPoolingError
from local.addresses import free_port
from tests.support import faults
from tests.support.migrations import alembic
from tests.support.pooler import open_pooler
from tests.support.system import open_to_all

REFUSAL = "DATABASE_URL: it leads to a pooler whose clients share sessions"


@pytest.fixture(scope="module")
def server_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server at the newest migration."""
    folder = tmp_path_factory.mktemp("pooled")
    open_to_all(folder)
    server = faults.postgres(folder / "servers")
    server.start()
    try:
        assert alembic(server.url, "upgrade", "head").returncode == 0
        yield int(server.url.rpartition(":")[2].partition("/")[0])
    finally:
        server.stop()


async def _start(port: int) -> None:
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    database = Database(read_database_url(url), timeout=5)
    try:
        await database.wait_and_require_usable()
    finally:
        await database.dispose()


async def test_shared_sessions_are_refused_at_once(server_port: int) -> None:
    async with open_pooler(server_port, by_transaction=True) as port:
        started = monotonic()
        with pytest.raises(TransactionPoolingError, match=f"^{REFUSAL}"):
            await _start(port)
        assert monotonic() - started < 5


async def test_sessions_of_ones_own_are_taken(server_port: int) -> None:
    async with open_pooler(server_port, by_transaction=False) as port:
        await _start(port)


@pytest.fixture(params=["session", "transaction"])
def bouncer(
    request: pytest.FixtureRequest, server_port: int, tmp_path: Path
) -> Iterator[tuple[str, int]]:
    """The mode and the port of a real PgBouncer."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    open_to_all(tmp_path)
    port = free_port()
    settings = tmp_path / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\npostgres = host=127.0.0.1 port={server_port} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
        f"auth_file = {tmp_path}/users\npool_mode = {request.param}\nunix_socket_dir =\n"
    )
    (tmp_path / "users").write_text('"postgres" ""\n')
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with subprocess.Popen([program, *user, settings], stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert any(b"process up" in line for line in process.stderr)
        try:
            yield request.param, port
        finally:
            process.kill()


async def test_pgbouncer_is_taken_in_session_mode_only(bouncer: tuple[str, int]) -> None:
    mode, port = bouncer
    if mode == "session":
        await _start(port)
        return
    with pytest.raises(TransactionPoolingError):
        await _start(port)
