"""`make run` starts, restarts and stops the system, and explains why it cannot."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import httpx
import psutil
import pytest

from local.addresses import free_port
from local.errors import StartError
from local.postgres import Postgres
from local.valkey import Valkey
from tests.support.site import Site
from tests.support.system import (
    ROOT,
    RunningSystem,
    open_to_all,
    results,
    running,
    start,
    submit,
)
from tests.support.waiting import until


def _family(system: RunningSystem) -> list[psutil.Process]:
    return [system.supervisor, *system.supervisor.children(recursive=True)]


def _left(family: list[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that still run, without zombies that init has not reaped yet."""
    left = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


async def test_data_survives_into_the_next_run_and_nothing_is_left(
    tmp_path: Path, site: Site
) -> None:
    with running(tmp_path / "data") as system:
        async with system.client() as client:
            request_id = await submit(client, site.page("/", "<title>kept</title>"))
            await client.get(f"/status/{request_id}?wait=20")
        family = _family(system)
        assert len(family) >= 10
        assert system.stop() < 10
        assert not _left(family)
    with running(tmp_path / "data") as system:
        async with system.client() as client:
            result = (await client.get(f"/result/{request_id}")).json()
    assert result["title"] == "kept"


@pytest.mark.slow
async def test_a_stop_while_jobs_wait_loses_none(tmp_path: Path, site: Site) -> None:
    slow = site.raw("/slow", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>A", delay=2)
    with running(tmp_path / "data", FETCH_CONCURRENCY="2") as system:
        async with system.client() as client:
            ids = [await submit(client, slow) for _ in range(8)]
            await until(lambda: site.requests)
        assert system.stop() < 10
    with running(tmp_path / "data", FETCH_CONCURRENCY="8") as system:
        async with system.client() as client:
            for request_id in ids:
                status = (await client.get(f"/status/{request_id}?wait=20")).json()["status"]
                assert status == "success"


@pytest.mark.parametrize(
    "words",
    [
        ["uvicorn", "api_service.main:app"],
        ["uvicorn", "parser_service.main:app"],
        ["parser_service.redis_listener"],
        ["api_service.worker"],
        ["api_service.worker.results"],
        ["api_service.worker.beat"],
    ],
)
async def test_a_service_that_dies_is_restarted(
    own_system: RunningSystem, site: Site, words: list[str]
) -> None:
    killed = own_system.processes(*words)
    assert killed
    for process in killed:
        process.kill()
    gone = {process.pid for process in killed}

    async def replaced() -> bool:
        now = {process.pid for process in own_system.processes(*words)}
        return bool(now) and not now & gone

    await until(replaced, seconds=15)
    async with own_system.client() as client:

        async def works() -> bool:
            try:
                request_id = await submit(client, site.page("/", "<title>A</title>"))
                status = (await client.get(f"/status/{request_id}?wait=10")).json()
            except httpx.TransportError:  # while the API itself restarts
                return False
            return bool(status["status"] == "success")

        await until(works, seconds=30)


@pytest.fixture(scope="module")
def own_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running(tmp_path_factory.mktemp("own")) as system:
        yield system


@pytest.mark.slow
def test_ctrl_c_stops_all(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    system = start(tmp_path / "data")
    family = _family(system)
    with system.process:
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(10) == 0
    assert not _left(family)


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    system = start(tmp_path / "data")
    family = _family(system)
    with system.process:
        system.process.kill()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    with running(tmp_path / "data"):
        pass


@pytest.mark.slow
def test_given_servers_are_used(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    servers = (Postgres(tmp_path, durable=False), Valkey(tmp_path, durable=False))
    for server in servers:
        server.start()
    try:
        urls = {"DATABASE_URL": servers[0].url, "REDIS_URL": servers[1].url}
        with running(tmp_path / "data", **urls) as system:
            assert not system.processes("bin/postgres")
            assert not system.processes("valkey-server")
    finally:
        for server in servers:
            server.stop()


def _run(**environment: str) -> subprocess.CompletedProcess[str]:
    clean = {n: v for n, v in os.environ.items() if n not in ("DATABASE_URL", "REDIS_URL")}
    ports = {"API_PORT": str(free_port()), "PARSER_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=clean | ports | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _is_one_sentence(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("variable", ["API_PORT", "PARSER_PORT", "METRICS_PORT"])
def test_a_taken_port_is_named(tmp_path: Path, variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = _run(DATA_DIR=str(tmp_path), **{variable: port})
    _is_one_sentence(result, port, variable)


@pytest.mark.parametrize("metrics", [0, -1])
@pytest.mark.parametrize("variable", ["API_PORT", "PARSER_PORT"])
def test_a_port_that_is_named_twice_is_named(tmp_path: Path, variable: str, metrics: int) -> None:
    def start() -> tuple[int, subprocess.CompletedProcess[str]]:
        port = free_port()
        ports = {variable: str(port), "METRICS_PORT": str(port + metrics)}
        return port, _run(DATA_DIR=str(tmp_path), **ports)

    port, result = start()
    for _ in range(4):
        if str(port) not in result.stderr:  # another program has the port before it
            port, result = start()
    _is_one_sentence(result, str(port), "METRICS_PORT")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"API_PORT": "web"}, ["API_PORT", "web"]),
        ({"API_PORT": "70000"}, ["API_PORT"]),
        ({"DATABASE_URL": "nonsense"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "mysql://127.0.0.1:1/x"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, ["DATABASE_URL", "127.0.0.1:1"]),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1,[::1]:2/x"}, ["127.0.0.1:1", "[::1]:2"]),
        ({"DATABASE_URL": "postgresql://127.0.0.1/x?sslmod=require"}, ["DATABASE_URL", "sslmod"]),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, ["REDIS_URL", "127.0.0.1:1"]),
        ({"REDIS_URL": "redis://127.0.0.1/abc"}, ["REDIS_URL", "/abc"]),
        ({"REDIS_CA_BUNDLE": "/nowhere"}, ["REDIS_CA_BUNDLE", "/nowhere"]),
        ({"REDIS_URL": "http://127.0.0.1/"}, ["REDIS_URL"]),
        ({"FETCH_ALLOWED_NETWORKS": "everything"}, ["FETCH_ALLOWED_NETWORKS"]),
        ({"DATA_DIR": "/proc/nowhere"}, ["/proc/nowhere"]),
        ({"LOG_LEVEL": "loud"}, ["LOG_LEVEL"]),
        ({"TASK_QUEUE": "api"}, ["TASK_QUEUE", "Celery"]),
        ({"PROMETHEUS_MULTIPROC_DIR": "/nope/x"}, ["PROMETHEUS_MULTIPROC_DIR", "/nope/x"]),
        ({"WATCH_SECONDS": "soon"}, ["WATCH_SECONDS", "soon"]),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(
    tmp_path: Path, environment: dict[str, str], words: list[str]
) -> None:
    _is_one_sentence(_run(**{"DATA_DIR": str(tmp_path)} | environment), *words)


@pytest.mark.slow
def test_two_copies_need_two_folders(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        _is_one_sentence(_run(DATA_DIR=str(tmp_path / "data")), "DATA_DIR")
        with running(tmp_path / "other"):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_it_runs_on_ipv6_in_any_folder_and_asks_no_proxy_for_itself(
    tmp_path: Path, site: Site, host: str
) -> None:
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:1")
    addresses = {"API_HOST": host, "PARSER_HOST": host}
    folder = tmp_path / """a b+c%20d&e#f,g"h\\i\\"""
    url = site.page("/", "<title>found</title>")
    with running(folder, **proxies, **addresses) as system:
        assert system.url.startswith("http://[::1]:")
        async with system.client() as client:
            answer = await client.get("/parse_sync", params={"url": url})
            assert answer.json()["title"] == "found"
            [result] = [r async for r in results(client, [await submit(client, url)])]
            assert result["status"] == "success"
    assert (folder / "logs").is_dir()


UNIGNORED = (
    *(sys.executable, "-c"),
    "import os, signal, sys; signal.signal(2, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])",
)


@pytest.fixture
def parser(tmp_path: Path, redis_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A parser service that listens."""
    own = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PARSER_PORT": str(free_port()),
        "REDIS_URL": redis_url,
    }
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            # A background process ignores SIGINT, and a shell cannot trap an ignored signal.
            [*UNIGNORED, ROOT / "start_parser.sh"],
            cwd=ROOT,
            env=os.environ | own,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            while "listening" not in log.read_text():
                sleep(0.05)
            yield process
        finally:
            process.terminate()


def _halves(parser: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the two processes of the pair, without the one that watches them."""
    children = psutil.Process(parser.pid).children()
    return [child for child in children if "bash" not in child.name()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only as root does PostgreSQL run as another user")
def test_data_is_looked_for_where_it_was_made(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    folder = tmp_path / "closed" / "data"
    made = folder / "postgres" / "data" / "PG_VERSION"
    made.parent.mkdir(parents=True)
    made.touch()
    Postgres(folder)
    folder.parent.chmod(0o700)
    with pytest.raises(StartError, match=r"chmod o\+x"):
        Postgres(folder)


def _watched(file: Path, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [ROOT / "start_watched.sh", "sh", "-c", script],
        env=os.environ | {"ALIVE_FILE": str(file), "WATCH_SECONDS": "1"},
    )


def test_a_process_that_lives_on_and_does_nothing_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    with _watched(file, f"touch {file}; exec sleep 600") as process:
        assert process.wait(timeout=60) == 128 + signal.SIGKILL


def test_a_watched_process_is_stopped_by_a_signal(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    with _watched(file, f"while :; do touch {file}; sleep 0.2; done") as process:
        while not file.exists():
            sleep(0.05)
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM


def test_start_parser_stops_both_halves_if_one_dies(parser: subprocess.Popen[bytes]) -> None:
    halves = _halves(parser)
    assert len(halves) == 2
    halves[0].kill()
    assert parser.wait(60) == 128 + signal.SIGKILL
    assert not _left(halves)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_start_parser_passes_signals_on(
    parser: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    halves = _halves(parser)
    parser.send_signal(number)
    assert parser.wait(60) == 0
    assert not _left(halves)
