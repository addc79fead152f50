"""Start a copy of the whole system, as `make run` does, and the site that it fetches from.

This module starts PostgreSQL and Valkey, with the settings that `make run` gives them, so that
the benchmark can connect to them. `python -m local` starts the rest.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

import asyncpg
import psutil
import redis.asyncio as aioredis

from api_service.config import Settings as ApiSettings
from local.addresses import free_port
from local.parent_death import make_die_with_parent
from local.postgres import Postgres
from local.valkey import Valkey
from parser_service.config import Settings as ParserSettings

ROOT = Path(__file__).resolve().parent.parent
LISTENER = "parser_service.redis_listener"
TASKS = "parser:tasks"
PARSERS = f"{TASKS}:parsers"
SETTINGS = frozenset(
    name.upper() for name in ("data_dir", *ApiSettings.model_fields, *ParserSettings.model_fields)
)
"""Variables of our own environment that must not reach the system."""


@dataclass(frozen=True, slots=True)
class System:
    """Hold a running system's processes, addresses and files."""

    process: psutil.Process
    postgres: Postgres
    valkey: Valkey
    url: str
    parser_url: str
    site: str
    environment: dict[str, str]
    logs: Path

    def page(self, kib: int, number: int, *, delay_ms: int = 0) -> str:
        """Return the URL of one of the site's pages."""
        return f"{self.site}/{kib}/{delay_ms}/{number}"

    async def database(self, name: str = "postgres") -> asyncpg.Connection:
        """Open a connection to PostgreSQL."""
        url = self.postgres.url_of(name).replace("postgresql+asyncpg:", "postgresql:", 1)
        return await asyncpg.connect(url, timeout=10)

    def redis(self, number: int = 0) -> aioredis.Redis:
        """Open a Redis client; the system itself uses database 0."""
        return aioredis.Redis.from_url(self.redis_url(number))

    def redis_url(self, number: int) -> str:
        """Return the REDIS_URL of a database of the same server."""
        return f"{self.valkey.url.rpartition('/')[0]}/{number}"

    def listeners(self) -> list[psutil.Process]:
        """Return the processes that take jobs from the list, extra listeners included."""
        ours = psutil.Process().children(recursive=True)
        return [process for process in ours if LISTENER in command_line(process)]

    @contextlib.contextmanager
    def paused_listeners(self) -> Iterator[int]:
        """Suspend all listeners for the block; yield their number."""
        held = self.listeners()
        for process in held:
            process.suspend()
        try:
            yield len(held)
        finally:
            for process in held:
                process.resume()

    @contextlib.asynccontextmanager
    async def extra_listeners(self, count: int) -> AsyncIterator[None]:
        """Run `count` more listeners for the block, next to the system's own."""
        started = []
        with (self.logs / "more-listeners.log").open("ab") as log:
            for _ in range(count):
                command = [sys.executable, "-m", LISTENER]
                started.append(_start(command, self.environment, log))
        try:
            await self._wait_for_parsers(1 + count)
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait()

    async def _wait_for_parsers(self, parsers: int) -> None:
        async with self.redis() as redis:
            end = monotonic() + 60
            while await redis.zcard(PARSERS) < parsers:
                if monotonic() > end:
                    raise RuntimeError(f"the listeners do not start; see the logs in {self.logs}")
                await asyncio.sleep(0.1)


@contextlib.contextmanager
def running_system() -> Iterator[System]:
    """Run everything in a temporary folder and on free ports for the block."""
    with (
        tempfile.TemporaryDirectory(prefix="page-parser-bench-") as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        folder.chmod(0o755)  # started as root, PostgreSQL runs as the user `nobody`
        postgres, valkey = Postgres(folder), Valkey(folder)
        for server in (postgres, valkey):
            stack.callback(server.stop)
            server.start()
        ports = {name: free_port() for name in ("site", "api", "parser")}
        environment = {n: v for n, v in os.environ.items() if n not in SETTINGS} | {
            "DATA_DIR": str(folder / "data"),
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "API_PORT": str(ports["api"]),
            "PARSER_PORT": str(ports["parser"]),
            "FETCH_ALLOWED_NETWORKS": "127.0.0.0/8",
            "FETCH_ALLOWED_PORTS": str(ports["site"]),
            "HOST_MAX_CONCURRENT": "256",  # all pages come from one host here
        }
        site = _start(
            [sys.executable, "-m", "benchmarks.origin", str(ports["site"])], environment, None
        )
        stack.callback(_stop, site)
        process = _start([sys.executable, "-m", "local"], environment, subprocess.PIPE)
        stack.callback(_stop, process)
        yield System(
            process=psutil.Process(process.pid),
            postgres=postgres,
            valkey=valkey,
            url=_wait_until_ready(process),
            parser_url=f"http://127.0.0.1:{ports['parser']}",
            site=f"http://127.0.0.1:{ports['site']}",
            environment=environment,
            logs=folder / "data" / "logs",
        )


def command_line(process: psutil.Process) -> str:
    """Return a process's command line; empty if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return " ".join(process.cmdline())
    return ""


def _start(
    command: Sequence[str], environment: dict[str, str], output: IO[bytes] | int | None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        text=True,
        start_new_session=True,  # Ctrl-C reaches only this process, which stops the others
        preexec_fn=make_die_with_parent(),  # noqa: PLW1509 - no threads here
    )


def _wait_until_ready(process: subprocess.Popen[str]) -> str:
    """Wait until everything answers; return the API's URL."""
    assert process.stdout
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("ready"):
            return line.split()[1]
    raise RuntimeError(f"the system did not start: {''.join(printed)}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
