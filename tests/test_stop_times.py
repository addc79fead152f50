"""The table "Stopping" in docs/operations.md has the numbers of the code, and they fit together."""

import re
from pathlib import Path
from typing import Any

import yaml

from api_service.edge.draining import STOP_DELAY_SECONDS
from local.server import SERVER_STOP_GRACE_SECONDS
from local.system import SERVICE_STOP_SECONDS, WORKER_STOP_SECONDS
from parser_service.config import Settings as ParserSettings

ROOT = Path(__file__).resolve().parent.parent
MAX_SHUTDOWN_GRACE = 10.0
"""As operations.md and .env.example allow it; settings of containers must have room for it."""
STOP_LIMIT = 10
"""Seconds that `make run` may take to stop."""


def _text(path: str) -> str:
    return (ROOT / path).read_text()


def _found(pattern: str, path: str) -> float:
    (number,) = re.findall(pattern, _text(path))
    return float(number)


def _uvicorn_seconds(path: str) -> float:
    return _found(r"--timeout-graceful-shutdown\W+(\d+)", path)


def _end_seconds() -> float:
    return _found(r"\$\{END_SECONDS:-(\d+)\}", "process_pair.sh")


def _grace_periods() -> dict[str, float]:
    services: dict[str, Any] = yaml.safe_load(_text("docker-compose.yml"))["services"]
    return {
        name: float(service["stop_grace_period"].removesuffix("s"))
        for name, service in services.items()
    }


def _in_the_code() -> dict[str, set[float]]:
    """The seconds of each setting, by what the last column of the table names."""
    grace = ParserSettings.model_fields["shutdown_grace"].default
    periods = _grace_periods()
    uvicorn = "`--timeout-graceful-shutdown`"
    return {
        "`STOP_DELAY_SECONDS` in `api_service/edge/draining.py`": {STOP_DELAY_SECONDS},
        f"{uvicorn} in `local/system.py` and `Dockerfile.api`": {
            _uvicorn_seconds("local/system.py"),
            _uvicorn_seconds("Dockerfile.api"),
        },
        f"{uvicorn} in `start_parser.sh`": {_uvicorn_seconds("start_parser.sh")},
        f"`SHUTDOWN_GRACE`, at most {MAX_SHUTDOWN_GRACE:g}": {grace},
        "`END_SECONDS` in `process_pair.sh`": {_end_seconds()},
        "`SERVICE_STOP_SECONDS` in `local/system.py`": {SERVICE_STOP_SECONDS},
        "`WORKER_STOP_SECONDS` in `local/system.py`": {WORKER_STOP_SECONDS},
        "`SERVER_STOP_GRACE_SECONDS` in `local/server.py`": {SERVER_STOP_GRACE_SECONDS},
        "`stop_grace_period` in `docker-compose.yml`": set(periods.values()),
    }


def _documented() -> dict[str, set[float]]:
    section = _text("docs/operations.md").split("\n## Stopping\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| .* \| ([\d.]+) \| (.*) \|$", section, re.MULTILINE)
    found: dict[str, set[float]] = {}
    for seconds, setting in rows:
        found.setdefault(setting, set()).add(float(seconds))
    return found


def test_the_table_has_every_stop_time_with_the_number_of_the_code() -> None:
    assert _documented() == _in_the_code()


def test_compose_gives_each_container_the_documented_time() -> None:
    fast = {"api", "parser", "beat", "migrate"}
    periods = _grace_periods()
    assert periods == {name: 15.0 if name in fast else 30.0 for name in periods}


def test_a_service_can_end_before_make_run_kills_it() -> None:
    api = STOP_DELAY_SECONDS + _uvicorn_seconds("local/system.py")
    assert api < SERVICE_STOP_SECONDS
    assert _uvicorn_seconds("start_parser.sh") < SERVICE_STOP_SECONDS
    assert ParserSettings.model_fields["shutdown_grace"].default < SERVICE_STOP_SECONDS
    assert SERVICE_STOP_SECONDS + WORKER_STOP_SECONDS < STOP_LIMIT


def test_a_container_can_end_before_docker_kills_it() -> None:
    periods = _grace_periods()
    assert STOP_DELAY_SECONDS + _uvicorn_seconds("Dockerfile.api") < periods["api"]
    assert periods["parser"] > MAX_SHUTDOWN_GRACE
    for name in ("parser", "worker"):
        assert _end_seconds() < periods[name]
