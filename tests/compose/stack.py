"""The stack of docker-compose.yml, as an operator calls it, under a name and a port of its own."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = "page-parser-test"
SITE_NETWORK = f"{PROJECT}-site"
SITE = "http://site:8080"


class StackError(Exception):
    """A command of docker failed; the message holds what it said."""


def documented() -> dict[str, str]:
    """The variables of .env.example with the defaults that it names."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = (re.fullmatch(r"#([A-Z_]+)=(.*)", line) for line in lines)
    return {match[1]: match[2].strip("'") for match in found if match}


def docker(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run a command of docker; returns its output.

    Nothing of this process's environment reaches it but what finds the engine, so that no
    setting of whoever runs the tests takes part.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "XDG_RUNTIME_DIR") or name.startswith("DOCKER_")
    }
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env=kept | (environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        raise StackError(f"docker {' '.join(arguments)}\n{done.stdout[-4000:]}\n{done.stderr}")
    return done.stdout


class Stack:
    """One running copy, with a web site beside it."""

    def __init__(self) -> None:
        self.port = _free_port()
        self._subnet = ""
        self._whole = False

    def start(self) -> None:
        """Build the images and start everything, on empty volumes."""
        self.remove()  # what a killed test run left behind
        docker("network", "create", "--internal", SITE_NETWORK)
        (network,) = json.loads(docker("network", "inspect", SITE_NETWORK))
        self._subnet = network["IPAM"]["Config"][0]["Subnet"]
        self.up("--build")

    def up(self, *arguments: str) -> None:
        """Bring everything up, and wait until it is healthy."""
        self.compose("up", "--wait", "--wait-timeout", "180", *arguments)
        self._whole = "--scale" not in arguments

    def restore(self) -> None:
        """Undo what was done to it since it was last complete."""
        if not self._whole:
            self.up()

    def remove(self) -> None:
        """Take everything down, the data too."""
        self.compose("down", "--volumes", "--timeout", "5")
        if docker("network", "ls", "--quiet", "--filter", f"name=^{SITE_NETWORK}$"):
            docker("network", "rm", SITE_NETWORK)

    def compose(self, *arguments: str) -> str:
        """Run a command of docker compose on this stack; returns its output."""
        if arguments[0] not in ("logs", "ps"):
            self._whole = False
        return docker(
            *("compose", "--project-name", PROJECT, "--env-file", os.devnull),
            *("--file", "docker-compose.yml", "--file", "tests/compose/override.yml"),
            *arguments,
            environment={
                "API_PORT": str(self.port),
                "SITE_NETWORK": SITE_NETWORK,
                "FETCH_ALLOWED_NETWORKS": self._subnet,
                "FETCH_ALLOWED_PORTS": "80,443,8080",
            },
        )

    def containers(self, service: str | None = None) -> list[dict[str, Any]]:
        """What `docker inspect` says of the running containers, the test's site left out."""
        found = self._inspect("--quiet", *([service] if service else []))
        return [container for container in found if service_of(container) != "site"]

    def client(self) -> httpx.Client:
        """A client of the published port."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=40, trust_env=False)

    def troubles(self) -> str:
        """The states of all containers, and the last logs of those that are not well."""
        parts = [self.compose("ps", "--all")]
        for container in self._inspect("--all", "--quiet"):
            state = container["State"]
            health = state.get("Health", {}).get("Status", "healthy")
            one_shot_done = state["Status"] == "exited" and state["ExitCode"] == 0
            if (state["Running"] and health == "healthy") or one_shot_done:
                continue
            checks = [entry["Output"] for entry in state.get("Health", {}).get("Log", [])]
            logs = self.compose("logs", "--no-color", "--tail", "60", service_of(container))
            parts.append(f"{container['Name']}: {state['Status']}, {health} {checks[-1:]}\n{logs}")
        return "\n".join(parts)

    def _inspect(self, *arguments: str) -> list[dict[str, Any]]:
        ids = self.compose("ps", *arguments).split()
        inspected: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
        return inspected


def service_of(container: dict[str, Any]) -> str:
    """The name that a container's service has in docker-compose.yml."""
    name: str = container["Config"]["Labels"]["com.docker.compose.service"]
    return name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
