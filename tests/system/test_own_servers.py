"""The servers that `make run` starts come back when they are killed, and their logs stay small."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import psutil
import pytest
import redis

from local import logs
from local.addresses import free_port
from local.logs import copy_and_empty_if_long
from local.orphans import drop_lock_of_reused_pid, processes_in
from local.postgres import Postgres
from local.valkey import Valkey
from tests.support.site import Site
from tests.support.system import RunningSystem, open_to_all, results, running, start, submit
from tests.support.waiting import until

BACK_SECONDS = 10


@pytest.fixture(scope="module")
def own_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    # Jobs that Valkey had not written when it was killed are pushed again after this time.
    with running(tmp_path_factory.mktemp("own"), LOST_AFTER="8", FETCH_TIMEOUT="5") as system:
        yield system


def _first(system: RunningSystem, program: str) -> psutil.Process:
    """Return the server's first process: those that it forks are its children."""
    found = [child for child in system.supervisor.children() if child.name() == program]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("postgres", "PostgreSQL"),
        pytest.param("valkey-server", "Valkey", marks=pytest.mark.slow),
    ],
)
async def test_a_killed_server_of_ours_is_back_within_ten_seconds_and_nothing_is_lost(
    own_system: RunningSystem, site: Site, program: str, name: str
) -> None:
    slow = site.raw("/slow", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>A", delay=1)
    async with own_system.client() as client:
        before = [await submit(client, slow) for _ in range(30)]
        killed = _first(own_system, program)
        killed.kill()
        started = monotonic()
        await until(lambda: f"{name} ended with status -9" in own_system.output(), seconds=5)
        await until(lambda: f"{name} is running again" in own_system.output(), seconds=15)

        async def is_ready() -> bool:
            return (await client.get("/ready")).status_code == 200

        await until(is_ready, seconds=15)
        assert monotonic() - started < BACK_SECONDS
        assert _first(own_system, program).pid != killed.pid
        after = [await submit(client, slow) for _ in range(5)]
        async for result in results(client, before + after, seconds=90):
            assert result["status"] == "success", result


def _server(folder: Path) -> Postgres:
    open_to_all(folder)
    return Postgres(folder, port=free_port())


@pytest.mark.slow
def test_children_of_a_killed_postmaster_do_not_prevent_a_start(tmp_path: Path) -> None:
    server = _server(tmp_path)
    server.start()
    assert server.process
    children = psutil.Process(server.process.pid).children()
    children[0].suspend()  # it does not notice that its postmaster is gone
    server.process.kill()
    server.process.wait()
    server.start()
    try:
        _, alive = psutil.wait_procs(children[:1], timeout=1)
        assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
    finally:
        server.stop()
    assert processes_in(server.data_folder / "data", "postgres") == []


def test_a_lock_whose_process_id_was_given_to_another_program_does_not_prevent_a_start(
    tmp_path: Path,
) -> None:
    server = _server(tmp_path)
    server.start()
    lock = server.data_folder / "data" / "postmaster.pid"
    text = lock.read_text()
    assert server.process
    server.process.kill()
    server.process.wait()
    owner = server.data_folder.stat().st_uid
    with subprocess.Popen(["sleep", "600"], user=owner, cwd="/") as stranger:
        lock.write_text(re.sub(r"^\d+", str(stranger.pid), text))
        try:
            server.start()
        finally:
            stranger.kill()
    server.stop()


def test_a_lock_without_a_process_is_left_to_the_server(tmp_path: Path) -> None:
    lock = tmp_path / "postmaster.pid"
    for text in ("4194304999\n", "", "nonsense"):
        lock.write_text(text)
        drop_lock_of_reused_pid(lock)
        assert lock.exists()
    drop_lock_of_reused_pid(tmp_path / "none")


@pytest.mark.slow
def test_an_earlier_valkey_has_ended_before_the_next_one_reads_its_file(tmp_path: Path) -> None:
    first, second = Valkey(tmp_path), Valkey(tmp_path)
    first.start()
    with redis.Redis.from_url(first.url) as client:
        client.set("kept", "1")
    second.start()
    try:
        assert first.process
        assert first.process.poll() == -signal.SIGKILL
        with redis.Redis.from_url(second.url) as client:
            assert client.get("kept") == b"1"
    finally:
        second.stop()


def test_a_log_is_rotated_between_two_lines_of_its_process_and_both_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 1000)
    log = tmp_path / "a.log"
    writing = logs.open_log(log)
    for number in range(100):
        writing.write(b"line %d of a log\n" % number)
    writing.flush()
    copy_and_empty_if_long(log)
    writing.write(b"the next line\n")
    writing.flush()
    copy_and_empty_if_long(log)
    writing.close()
    old = tmp_path / "a.log.old"
    assert log.read_text() == "the next line\n"
    assert len(old.read_text().splitlines()) == 100
    assert [file.stat().st_mode & 0o777 for file in (log, old)] == [0o600, 0o600]


async def test_logs_of_a_running_system_are_kept_small_and_private(
    own_system: RunningSystem,
) -> None:
    found = [*(own_system.folder / "logs").glob("*.log"), *own_system.folder.glob("*.log")]
    names = {file.stem for file in found}
    assert names >= {"api", "beat", "worker", "parser", "postgres", "valkey"}
    assert {file.stat().st_mode & 0o777 for file in found} == {0o600}
    log = own_system.folder / "logs" / "beat.log"
    with log.open("ab") as file:
        file.write(b"x" * logs.MAX_LOG_BYTES + b"\n")
    await until(lambda: log.stat().st_size < logs.MAX_LOG_BYTES, seconds=10)
    assert log.with_suffix(".log.old").stat().st_size > logs.MAX_LOG_BYTES


def test_beat_writes_no_line_each_second(own_system: RunningSystem) -> None:
    assert "Sending due task" not in own_system.log("beat")


def test_the_terminal_says_where_everything_is(own_system: RunningSystem) -> None:
    output = own_system.output()
    places = re.findall(r"(?:data is|logs are) in (\S+)", output)
    assert len(places) == 3
    assert (Path(places[0]) / "data" / "PG_VERSION").exists()
    assert all(Path(place).is_dir() for place in places)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only as root does PostgreSQL run as another user")
def test_the_terminal_names_the_folder_of_a_database_that_cannot_be_in_the_data_folder(
    tmp_path: Path,
) -> None:
    open_to_all(tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    place = Postgres(closed / "data").data_folder
    assert place.parent == Path("/var/tmp")
    system = start(closed / "data")
    try:
        assert f"its data is in {place}\n" in system.output()
        assert (place / "data" / "PG_VERSION").exists()
    finally:
        system.stop()
        shutil.rmtree(place)
