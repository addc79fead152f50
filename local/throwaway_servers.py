"""Run one command with throw-away servers."""

import os
import subprocess
from pathlib import Path

from local.postgres import Postgres
from local.valkey import Valkey


def run_with_servers(command: list[str], folder: Path) -> int:
    """Run a command whose DATABASE_URL and REDIS_URL name throw-away servers."""
    servers = (Postgres(folder, durable=False), Valkey(folder, durable=False))
    try:
        for server in servers:
            server.start()
        environment = {"DATABASE_URL": servers[0].url, "REDIS_URL": servers[1].url}
        return subprocess.run(command, env=os.environ | environment, check=False).returncode
    finally:
        for server in servers:
            server.stop()
