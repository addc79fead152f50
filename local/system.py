"""The whole system on one machine: servers, migrations, services, in the order they need."""

import asyncio
import fcntl
import os
import signal
import socket
import sys
from pathlib import Path
from urllib.request import urlopen

from api_service.config import Settings as ApiSettings
from local.addresses import listen, listen_address, require_answer
from local.errors import ServerError
from local.postgres import Postgres
from local.supervisor import WATCH_SECONDS, Service, Supervised
from local.valkey import Valkey
from parser_service.config import Settings as ParserSettings

ROOT = Path(__file__).resolve().parent.parent
API = (
    "uvicorn api_service.main:app --no-access-log --no-server-header --log-level warning"
    " --timeout-graceful-shutdown 4"
)
BEAT = "python -m api_service.worker.beat"
READY_SECONDS = 60
# All together under the 10 s that a stop may take.
FRONT_GRACE = 5.0
WORKER_GRACE = 2.0


class System:
    """Starts everything and keeps it running until it is told to stop.

    The environment's variables are those of the README's table.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._data = Path(environment.get("DATA_DIR") or ".data").resolve()
        self._api = listen_address(environment, "API", 8000)
        self._parser = listen_address(environment, "PARSER", 8001)
        self._watch_seconds = _watch_seconds(environment)
        self._metrics_port = 0
        self._servers: list[Postgres | Valkey] = []
        self._front: list[Supervised] = []
        self._worker: Supervised | None = None
        self._lock: int | None = None
        self._api_socket = socket.socket()

    @property
    def api_url(self) -> str:
        """Where clients reach the API."""
        return f"http://{self._api[0]}:{self._api[1]}"

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            ServerError: what keeps the system from starting, in one sentence.
        """
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        try:
            self._prepare()
            environment = self._start_servers()
            await self._migrate(environment)
            self._start_services(environment)
            if await self._until_ready(stopping):
                print(f"ready {self.api_url}", flush=True)
                await stopping.wait()
            print("stopping", flush=True)
        finally:
            await self._stop()

    def _prepare(self) -> None:
        try:
            settings = ApiSettings.load()
            ParserSettings.load()
        except SystemExit as error:
            raise ServerError(str(error)) from None
        if settings.metrics_port:
            self._metrics_port = settings.metrics_port
            for port in (self._metrics_port, self._metrics_port + 1):
                listen(settings.metrics_host, port, "METRICS_PORT").close()
        self._api_socket = listen(*self._api, "API_PORT")
        listen(*self._parser, "PARSER_PORT").close()
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._data / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerError(
                f"{self._data} is in use by another copy; set DATA_DIR to another folder."
            ) from None
        except OSError as error:
            raise ServerError(f"{self._data} cannot be used: {error.strerror}.") from None
        (self._data / "logs").mkdir(exist_ok=True)

    def _start_servers(self) -> dict[str, str]:
        """Start the servers that no URL names; returns the services' environment."""
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "API_HOST": self._api[0],
            "PARSER_HOST": self._parser[0],
            "PARSER_PORT": str(self._parser[1]),
            "PARSER_URL": f"http://{self._parser[0]}:{self._parser[1]}",
        }
        for variable, kind in (("DATABASE_URL", Postgres), ("REDIS_URL", Valkey)):
            if url := self._environment.get(variable):
                require_answer(url, variable)
                environment[variable] = url
            else:
                server = kind(self._data)
                print(f"starting {server.name} in {self._data}", flush=True)
                self._servers.append(server)
                server.start()
                environment[variable] = server.url
        return environment

    async def _migrate(self, environment: dict[str, str]) -> None:
        log = self._data / "logs" / "migrate.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "alembic", "upgrade", "head"),
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=os.environ | environment,
                start_new_session=True,
            )
            if await process.wait() == 0:
                return
        lines = log.read_text(errors="replace").strip().splitlines() or ["no output"]
        raise ServerError(f"The database could not be migrated: {lines[-1][:300]} (see {log})")

    def _start_services(self, environment: dict[str, str]) -> None:
        schedule = str(self._data / "beat-schedule")
        commands = {
            "parser": [str(ROOT / "start_parser.sh")],
            "worker": [str(ROOT / "start_worker.sh")],
            "beat": [*BEAT.split(), schedule],
            # The socket is ours, so that clients that come while the API is restarted wait for
            # it in the socket's queue and are not refused.
            "api": [*API.split(), "--fd", str(self._api_socket.fileno())],
        }
        for name, command in commands.items():
            supervised = Supervised(self._service(name, command, environment))
            supervised.start()
            if name == "worker":
                self._worker = supervised
            else:
                self._front.append(supervised)

    def _service(self, name: str, command: list[str], environment: dict[str, str]) -> Service:
        def alive_file(half: str) -> str:
            path = self._data / "alive" / half
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)  # of an earlier run
            return str(path)

        # The scripts of the pairs watch the files of their halves themselves.
        files = {
            "parser": {"ALIVE_FILE": "listener", "HTTP_ALIVE_FILE": "parser-http"},
            "worker": {"ALIVE_FILE": "celery", "RESULTS_ALIVE_FILE": "results"},
            "beat": {"BEAT_ALIVE_FILE": "beat"},
            "api": {"ALIVE_FILE": "api"},
        }[name]
        alive = {variable: alive_file(half) for variable, half in files.items()}
        metrics = {}
        if name in ("parser", "worker"):
            metrics["PROMETHEUS_MULTIPROC_DIR"] = str(self._data / "metrics" / name)
        if self._metrics_port:
            # Containers have a port each; here the worker's is the one that was set.
            metrics["METRICS_PORT"] = str(self._metrics_port + (name == "beat"))
        return Service(
            name=name,
            command=command,
            log=self._data / "logs" / f"{name}.log",
            environment=environment | alive | metrics | {"PYTHONPATH": str(ROOT)},
            pass_fds=(self._api_socket.fileno(),) if name == "api" else (),
            alive_file=Path(next(iter(alive.values()))) if name in ("beat", "api") else None,
            watch_seconds=self._watch_seconds,
        )

    async def _until_ready(self, stopping: asyncio.Event) -> bool:
        """Wait until everything answers; False if a stop was asked for before."""
        waiting = "nothing answered yet"
        for _ in range(READY_SECONDS * 10):
            if stopping.is_set():
                return False
            waiting = await asyncio.to_thread(self._not_ready)
            if not waiting:
                return True
            await asyncio.sleep(0.1)
        raise ServerError(
            f"Not ready within {READY_SECONDS} s: {waiting} The logs are in {self._data / 'logs'}."
        )

    def _not_ready(self) -> str:
        """What is missing; empty if nothing is."""
        try:
            with urlopen(f"{self.api_url}/ready", timeout=5) as response:  # noqa: S310 - our own
                response.read()
        except OSError as error:
            body = getattr(error, "read", lambda: b"")()
            return f"{body.decode(errors='replace')[:300] or error}"
        return ""

    async def _stop(self) -> None:
        self._api_socket.close()
        await asyncio.gather(*(service.stop(FRONT_GRACE) for service in self._front))
        # After the parsers, so that it persists what they finished last.
        if self._worker is not None:
            await self._worker.stop(WORKER_GRACE)
        await asyncio.gather(*(asyncio.to_thread(server.stop) for server in self._servers))
        if self._lock is not None:
            os.close(self._lock)


def _watch_seconds(environment: dict[str, str]) -> int:
    text = environment.get("WATCH_SECONDS") or str(WATCH_SECONDS)
    if not (text.isdecimal() and int(text)):
        raise ServerError(f"WATCH_SECONDS is {text!r}, which is no number of seconds.")
    return int(text)
