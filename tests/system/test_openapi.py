"""Both services do what their OpenAPI descriptions say, on generated requests."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.system import RunningSystem, running

EXAMPLES = "60"
CONFIG = str(Path(__file__).with_name("schemathesis.toml"))


@pytest.fixture(scope="module")
def closed_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """Start a system that resolves no name and dials no port, for generated requests."""
    folder = tmp_path_factory.mktemp("closed")
    environment = {
        "FETCH_NAMESERVERS": "127.0.0.1:9",
        "FETCH_DNS_TIMEOUT": "0.2",
        "FETCH_ALLOWED_NETWORKS": "",
        "FETCH_ALLOWED_PORTS": "9",
    }
    with running(folder, **environment) as system:
        yield system


def _examine(url: str, folder: Path) -> None:
    result = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG),
            *("run", f"{url}/openapi.json"),
            *("--checks", "all", "--max-examples", EXAMPLES),
            *("--request-timeout", "10", "--no-color", "--seed", "1"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]


def test_the_api_keeps_its_word(closed_system: RunningSystem, tmp_path: Path) -> None:
    _examine(closed_system.url, tmp_path)


def test_the_parser_keeps_its_word(closed_system: RunningSystem, tmp_path: Path) -> None:
    _examine(closed_system.parser_url, tmp_path)
