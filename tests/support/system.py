"""The whole system, started as `make run` starts it, on ports and in a folder of its own."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic

import httpx
import psutil

from local.servers import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60


class RunningSystem:
    """A started copy and the ways to disturb it."""

    def __init__(
        self, process: subprocess.Popen[str], folder: Path, url: str, parser_url: str
    ) -> None:
        self.process = process
        self.folder = folder
        self.url = url
        self.parser_url = parser_url

    @property
    def supervisor(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def processes(self, *words: str) -> list[psutil.Process]:
        """The system's processes whose command line has all of these words."""
        found = []
        for process in self.supervisor.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                command = " ".join(process.cmdline())
                if all(word in command for word in words):
                    found.append(process)
        return found

    def log(self, service: str) -> str:
        return (self.folder / "logs" / f"{service}.log").read_text()

    def stop(self) -> float:
        """Stop as an operator does; returns the seconds it took."""
        started = monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        with self.process:
            self.process.communicate(timeout=15)
        return monotonic() - started

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=40, trust_env=False)


def start(folder: Path, **environment: str) -> RunningSystem:
    """Start a copy and wait for its line `ready`."""
    api_port, parser_port = free_port(), free_port()
    variables = {
        "DATA_DIR": str(folder),
        "API_PORT": str(api_port),
        "PARSER_PORT": str(parser_port),
        "FETCH_ALLOWED_NETWORKS": "127.0.0.0/8",
        "FETCH_ALLOWED_PORTS": "1-65535",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=_clean_environment() | variables | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("ready"):
            parser_url = f"http://127.0.0.1:{parser_port}"
            return RunningSystem(process, folder, line.split()[1], parser_url)
    with process:
        process.wait()
    raise AssertionError("".join(printed))


def _clean_environment() -> dict[str, str]:
    """Ours, without what would lead the copy to another's servers."""
    own = ("DATABASE_URL", "REDIS_URL", "DATA_DIR")
    return {name: value for name, value in os.environ.items() if name not in own}


def open_to_all(folder: Path) -> None:
    """Let other users through pytest's folders: as root, PostgreSQL runs as one."""
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
    """The results of requests, each when it has ended."""
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
