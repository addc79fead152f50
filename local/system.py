"""Start the whole system on one machine: servers, then migrations, then services."""

import asyncio
import fcntl
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from api_service.config import Settings as ApiSettings
from local.addresses import (
    http_url,
    open_listening_socket,
    read_address,
    require_free_addresses,
    require_listener,
)
from local.errors import StartError
from local.kept_server import KeptServer
from local.logs import keep_logs_small
from local.memory_folder import make_memory_folder
from local.migration import migrate
from local.postgres import Postgres
from local.readiness import wait_until_ready
from local.say import say
from local.server import Server
from local.supervisor import WATCH_SECONDS, ProcessSpec, SupervisedProcess
from local.valkey import Valkey
from parser_service.config import Settings as ParserSettings

ROOT = Path(__file__).resolve().parent.parent
API_COMMAND = (
    "uvicorn api_service.main:app --no-access-log --no-server-header --log-level warning"
    " --timeout-graceful-shutdown 4 --http api_service.edge.protocol:BoundedHttp"
)
SECONDS_PER_DAY = 86_400
BEAT_COMMAND = "python -m api_service.worker.beat"
# A stop takes at most 10 s: these two, and the moment that the servers need. The table
# "Stopping" in docs/operations.md has all such times.
SERVICE_STOP_SECONDS = 5.0
WORKER_STOP_SECONDS = 2.0


class System:
    """Start everything and keep it running until SIGTERM or SIGINT.

    The README and docs/operations.md list the variables of the environment.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._folder = Path(environment.get("DATA_DIR") or ".data").resolve()
        self._api_address = read_address(environment, "API", 8000)
        self._parser_address = read_address(environment, "PARSER", 8001)
        self._watch_seconds = _read_seconds(environment, "WATCH_SECONDS", WATCH_SECONDS)
        _read_seconds(environment, "END_SECONDS", 10)  # for the start scripts, checked here
        self._metrics_port = 0
        self._memory_folder = make_memory_folder()
        self._servers: dict[str, Server] = {}
        self._kept: list[KeptServer] = []
        self._stopped_before_worker: list[SupervisedProcess] = []
        self._worker: SupervisedProcess | None = None
        self._lock: int | None = None
        self._api_socket = socket.socket()
        self._rotation: asyncio.Task[None] | None = None

    @property
    def _log_folder(self) -> Path:
        return self._folder / "logs"

    @property
    def api_url(self) -> str:
        """Return the URL at which clients reach the API."""
        return http_url(*self._api_address)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            StartError: the system cannot start.
        """
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        try:
            self._claim_ports_and_folder()
            environment = self._start_servers()
            await _require_given_redis(unless_started=self._servers)
            await migrate(ROOT, environment, self._log_folder / "migrate.log")
            self._start_services(environment)
            for kept in self._kept:
                kept.start_watching()
            services = [*self._stopped_before_worker, *([self._worker] if self._worker else [])]
            logs = [service.spec.log for service in services]
            logs += [server.log for server in self._servers.values()]
            self._rotation = asyncio.create_task(keep_logs_small(logs))
            _say_if_shut(self._api_address[0])
            if await wait_until_ready(
                # The parser's HTTP side is none of those that the API reports on.
                [f"{self.api_url}/ready", f"{http_url(*self._parser_address)}/health"],
                services=services,
                check_servers=self._require_given_servers,
                stopping=stopping,
                logs=self._log_folder,
            ):
                say(f"ready {self.api_url}")
                await stopping.wait()
            say("stopping")
        finally:
            await self._stop()

    def _claim_ports_and_folder(self) -> None:
        """Check the settings, listen for the API, check the other ports, lock the folder.

        Raises:
            StartError: one of these cannot be.
        """
        try:
            settings = ApiSettings.load_or_exit()
            ParserSettings.load_or_exit()
        except SystemExit as error:
            raise StartError(str(error)) from None
        self._api_socket = open_listening_socket(*self._api_address, "API_PORT")
        wanted = [(*self._parser_address, "PARSER_PORT")]
        if first := settings.metrics_port:
            self._metrics_port = first
            wanted += [(settings.metrics_host, n, "METRICS_PORT") for n in (first, first + 1)]
        require_free_addresses(wanted)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"{self._folder} is in use by another copy of the system; "
                f"set DATA_DIR to another folder."
            ) from None
        except OSError as error:
            raise StartError(
                f"Cannot use {self._folder}: {error.strerror}; set DATA_DIR to a writable folder."
            ) from None
        self._log_folder.mkdir(exist_ok=True)

    def _start_servers(self) -> dict[str, str]:
        """Start the servers that no URL names; return the services' environment."""
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "API_HOST": self._api_address[0],
            "PARSER_HOST": self._parser_address[0],
            "PARSER_PORT": str(self._parser_address[1]),
            "PARSER_URL": self._environment.get("PARSER_URL") or http_url(*self._parser_address),
        }
        self._require_given_servers()
        for variable, kind in (("DATABASE_URL", Postgres), ("REDIS_URL", Valkey)):
            if url := self._environment.get(variable):
                environment[variable] = url
            else:
                server = kind(self._folder)
                say(f"starting {server.name}; its data is in {server.data_folder}")
                self._servers[variable] = server
                self._kept.append(KeptServer(server))
                server.start()
                environment[variable] = server.url
        say(f"the logs are in {self._log_folder}")
        return environment

    def _require_given_servers(self) -> None:
        """Check that the servers that URLs name are there."""
        settings = ApiSettings.load_or_exit()
        places = {
            "DATABASE_URL": settings.database_address.tcp_endpoints,
            "REDIS_URL": settings.redis_address.tcp_endpoints,
        }
        for variable, found in places.items():
            if self._environment.get(variable):
                require_listener(found, variable)

    def _start_services(self, environment: dict[str, str]) -> None:
        schedule = str(self._folder / "beat-schedule")
        commands = {
            "parser": [str(ROOT / "start_parser.sh")],
            "worker": [str(ROOT / "start_worker.sh")],
            "beat": [*BEAT_COMMAND.split(), schedule],
            # The supervisor owns the socket: while the API restarts, clients wait in the socket's
            # backlog and are not refused.
            "api": [*API_COMMAND.split(), "--fd", str(self._api_socket.fileno())],
        }
        for name, command in commands.items():
            supervised = SupervisedProcess(self._prepare_spec(name, command, environment))
            supervised.start()
            if name == "worker":
                self._worker = supervised
            else:
                self._stopped_before_worker.append(supervised)

    def _prepare_spec(
        self, name: str, command: list[str], environment: dict[str, str]
    ) -> ProcessSpec:
        def fresh_alive_file(half: str) -> str:
            path = self._folder / "alive" / half
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)  # an earlier run left it
            return str(path)

        # start_parser.sh and start_worker.sh watch the files of their two processes themselves.
        files = {
            "parser": {"ALIVE_FILE": "listener", "HTTP_ALIVE_FILE": "parser-http"},
            "worker": {"ALIVE_FILE": "celery", "RESULTS_ALIVE_FILE": "results"},
            "beat": {"BEAT_ALIVE_FILE": "beat"},
            "api": {"ALIVE_FILE": "api"},
        }[name]
        alive = {variable: fresh_alive_file(half) for variable, half in files.items()}
        metrics = {}
        if name in ("parser", "worker"):
            metrics["PROMETHEUS_MULTIPROC_DIR"] = str(Path(self._memory_folder.name) / name)
        if self._metrics_port:
            # In containers each has this port to itself; here the worker has it, beat the next.
            metrics["METRICS_PORT"] = str(self._metrics_port + (name == "beat"))
        return ProcessSpec(
            name=name,
            command=command,
            log=self._log_folder / f"{name}.log",
            environment=environment | alive | metrics | {"PYTHONPATH": str(ROOT)},
            pass_fds=(self._api_socket.fileno(),) if name == "api" else (),
            alive_file=Path(next(iter(alive.values()))) if name in ("beat", "api") else None,
            watch_seconds=self._watch_seconds,
        )

    async def _stop(self) -> None:
        self._api_socket.close()
        await asyncio.gather(
            *(service.stop(SERVICE_STOP_SECONDS) for service in self._stopped_before_worker)
        )
        # The worker stops after the parsers, so that it persists their last results.
        if self._worker is not None:
            await self._worker.stop(WORKER_STOP_SECONDS)
        await asyncio.gather(*(kept.stop() for kept in self._kept))
        if self._rotation is not None:
            self._rotation.cancel()
        if self._lock is not None:
            os.close(self._lock)
        self._memory_folder.cleanup()


def _say_if_shut(host: str) -> None:
    """Tell whoever watches the terminal why callers will be refused, unless they asked for it."""
    # As below.
    from api_service.edge.anonymous import AnonymousAccess  # noqa: PLC0415

    access = AnonymousAccess.of(ApiSettings.load_or_exit().model_copy(update={"api_host": host}))
    if access.mode == "auto" and not access.is_possible:
        say(access.explain())


async def _require_given_redis(*, unless_started: Mapping[str, Server]) -> None:
    if "REDIS_URL" in unless_started:
        return
    # Imported here, since this process lives as long as the system and needs it only now.
    from local.given_redis import require_redis  # noqa: PLC0415

    await require_redis(ApiSettings.load_or_exit().redis_address)


def _read_seconds(environment: dict[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= SECONDS_PER_DAY):
        raise StartError(
            f"{name} is {text!r}; it must be a whole number of seconds from 1 to {SECONDS_PER_DAY}."
        )
    return int(text)
