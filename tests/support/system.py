"""Start the whole system as `make run` does, on ports and in a folder of its own."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx
import psutil

from local.addresses import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60

# Each process that the supervisor starts, by a word of its command line.
SERVICES = {
    "api": "api_service.main:app",
    "parser": "start_parser.sh",
    "worker": "start_worker.sh",
    "beat": "api_service.worker.beat",
}
# Every single process, by words of its command line.
PARTS = {
    "api": ("uvicorn", "api_service.main:app"),
    "parser-http": ("uvicorn", "parser_service.main:app"),
    "listener": ("parser_service.redis_listener",),
    "celery": ("api_service.worker",),
    "results": ("api_service.worker.results",),
    "beat": ("api_service.worker.beat",),
}


class RunningSystem:
    """Disturb a running copy, and read its logs."""

    def __init__(
        self, process: subprocess.Popen[str], folder: Path, url: str, parser_url: str
    ) -> None:
        self.process = process
        self.folder = folder
        self.url = url
        self.parser_url = parser_url
        self.ended_on_purpose: Counter[str] = Counter()

    @property
    def supervisor(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def processes(self, *words: str) -> list[psutil.Process]:
        """Return the processes whose command line has all of these words."""
        found = []
        for process in self.supervisor.children(recursive=True):
            command = _command(process)
            # Whole words: `api_service.worker` is not `api_service.worker.results`.
            if command and all(
                re.search(rf"{re.escape(word)}(?![\w.])", command) for word in words
            ):
                found.append(process)
        return found

    def service(self, name: str) -> psutil.Process | None:
        """Return the supervisor's process for a service; None during its restart."""
        found = (p for p in self.supervisor.children() if SERVICES[name] in _command(p))
        return next(found, None)

    def part(self, name: str) -> psutil.Process:
        """Return a process by its name in `PARTS`."""
        return self.processes(*PARTS[name])[0]

    def kill(self, name: str) -> bool:
        """Send SIGKILL to a service and all that it has started; return False if none runs."""
        process = self.service(name)
        if process is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            self.ended_on_purpose[name] += 1
        return True

    def terminate(self, name: str) -> bool:
        """Ask a service to stop, as an operator does; return False if it does not run."""
        process = self.service(name)
        if process is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
            self.ended_on_purpose[name] += 1
        return True

    def ended(self) -> Counter[str]:
        """Return how often each service has ended since the start, for any reason."""
        lines = self.output().splitlines()
        return Counter(line.split()[0] for line in lines if " ended with status " in line)

    def output(self) -> str:
        """Return what the supervisor has printed."""
        return _output(self.folder).read_text()

    def log(self, service: str) -> str:
        return (self.folder / "logs" / f"{service}.log").read_text()

    def stop(self) -> float:
        """Stop as an operator does, and return the seconds it took."""
        started = monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        with self.process:
            self.process.wait(timeout=15)
        return monotonic() - started

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=40, trust_env=False)


def start(folder: Path, root: Path = ROOT, /, **environment: str) -> RunningSystem:
    """Start a copy of the code in `root` and wait for its line `ready`."""
    api_port, parser_port = free_port(), free_port()
    variables = {
        "DATA_DIR": str(folder),
        "API_PORT": str(api_port),
        "PARSER_PORT": str(parser_port),
        "FETCH_ALLOWED_NETWORKS": "127.0.0.0/8",
        "FETCH_ALLOWED_PORTS": "1-65535",
    }
    folder.mkdir(parents=True, exist_ok=True)
    with _output(folder).open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=root,
            env=_clean_environment() | variables | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    while True:
        ended = process.poll() is not None
        for line in _output(folder).read_text().splitlines():
            if line.startswith("ready") and not ended:
                parser_url = f"http://127.0.0.1:{parser_port}"
                return RunningSystem(process, folder, line.split()[1], parser_url)
        if ended:
            raise AssertionError(_output(folder).read_text())
        sleep(0.02)


def _output(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.out")


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _clean_environment() -> dict[str, str]:
    """Return ours without the variables that would lead the copy to other servers."""
    own = ("DATABASE_URL", "REDIS_URL", "DATA_DIR")
    return {name: value for name, value in os.environ.items() if name not in own}


def open_to_all(folder: Path) -> None:
    """Let other users into pytest's folders: for root, PostgreSQL runs as another user."""
    for path in (folder, *folder.parents[:3]):
        with contextlib.suppress(PermissionError, FileNotFoundError):
            path.chmod(path.stat().st_mode | 0o011)


@contextlib.contextmanager
def running(folder: Path, **environment: str) -> Iterator[RunningSystem]:
    open_to_all(folder)
    system = start(folder, **environment)
    try:
        yield system
    finally:
        system.stop()


async def submit(client: httpx.AsyncClient, url: str) -> int:
    response = await client.post("/parse_async", json={"url": url})
    assert response.status_code == 202, response.text
    request_id: int = response.json()["request_id"]
    return request_id


async def results(
    client: httpx.AsyncClient, request_ids: list[int], *, seconds: float = 60
) -> AsyncIterator[dict[str, object]]:
    """Yield the results of requests, each when it has ended."""
    end = monotonic() + seconds
    gate = asyncio.Semaphore(20)

    async def wait(request_id: int) -> dict[str, object]:
        async with gate:
            while True:
                left = max(0, min(30, end - monotonic()))
                response = await client.get(f"/result/{request_id}", params={"wait": left})
                assert response.status_code == 200, response.text
                result: dict[str, object] = response.json()
                if result["status"] in ("success", "failure") or left == 0:
                    return result

    for waiting in asyncio.as_completed([wait(i) for i in request_ids]):
        yield await waiting
