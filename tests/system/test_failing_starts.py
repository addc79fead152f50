"""A start of `make run` that cannot succeed ends within a minute, and says why on the terminal."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from local import readiness
from local.addresses import free_port
from local.errors import StartError
from local.postgres import Postgres
from local.readiness import wait_until_ready
from local.valkey import Valkey
from tests.support.site import Site
from tests.support.system import ROOT, open_to_all

A_MINUTE = 60


def _start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    ports = {"API_PORT": str(free_port()), "PARSER_PORT": str(free_port())}
    return subprocess.Popen(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=os.environ | ports | {"DATA_DIR": str(folder)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _reason(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a start, and return the last line that it wrote."""
    _, errors = process.communicate(timeout=A_MINUTE)
    assert process.returncode == 1
    return errors.strip().splitlines()[-1]


def test_a_wrong_password_of_redis_is_named_at_once(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    server = Valkey(tmp_path / "given", durable=False, password="right")
    (tmp_path / "given").mkdir()
    server.start()
    started = monotonic()
    try:
        reason = _reason(
            _start(tmp_path / "data", REDIS_URL=server.url.replace("right", "opensesame"))
        )
    finally:
        server.stop()
    assert monotonic() - started < 20
    assert reason.startswith("REDIS_URL: ")
    assert "invalid username-password" in reason
    assert "opensesame" not in reason


@pytest.mark.slow
def test_a_database_that_goes_away_after_the_migration_ends_the_start_with_its_reason(
    tmp_path: Path,
) -> None:
    open_to_all(tmp_path)
    server = Postgres(tmp_path / "given", durable=False, port=free_port())
    (tmp_path / "given").mkdir()
    server.start()
    process = _start(tmp_path / "data", DATABASE_URL=server.url)
    try:
        while not (tmp_path / "data" / "logs" / "parser.log").exists():
            assert process.poll() is None
            sleep(0.01)
    finally:
        server.stop()
    assert "DATABASE_URL: nothing listens on 127.0.0.1" in _reason(process)


@pytest.mark.slow
def test_a_service_that_ends_again_and_again_ends_the_start_with_its_last_line(
    tmp_path: Path,
) -> None:
    open_to_all(tmp_path)
    reason = _reason(_start(tmp_path / "data", UVICORN_LOOP="nonsense"))
    assert "ended 3 times during the start" in reason
    assert "nonsense" in reason
    assert str(tmp_path / "data" / "logs") in reason


async def test_an_api_that_accepts_and_never_answers_is_waited_for_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "READY_TIMEOUT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = monotonic()
        with pytest.raises(StartError, match="Not ready within 1 s: "):
            await wait_until_ready(
                [f"http://127.0.0.1:{silent.getsockname()[1]}/ready"],
                services=[],
                check_servers=lambda: None,
                stopping=asyncio.Event(),
                logs=tmp_path,
            )
        assert monotonic() - started < 3


async def test_another_program_that_answers_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    monkeypatch.setattr(readiness, "READY_TIMEOUT_SECONDS", 1)
    for path, body in (("/text", b"# HELP a"), ("/list", b'["status"]'), ("/other", b"{}")):
        url = site.respond(path, 200, body, {})
        with pytest.raises(StartError, match="is answered by another program"):
            await wait_until_ready(
                [url],
                services=[],
                check_servers=lambda: None,
                stopping=asyncio.Event(),
                logs=tmp_path,
            )
