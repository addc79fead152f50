"""Run the stack of docker-compose.yml as an operator does, with a name and a port of its own."""

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
    """A docker command failed; the message holds its output."""


def documented() -> dict[str, str]:
    """Return the variables of .env.example with the defaults that it names."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = (re.fullmatch(r"#([A-Z_]+)=(.*)", line) for line in lines)
    return {match[1]: match[2].strip("'") for match in found if match}


def docker(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run a docker command, and return its output.

    Of this process's environment it gets only what finds the engine, so that no setting of the
    person who runs the tests takes part.
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
    """Run one copy, with a web site next to it."""

    def __init__(self) -> None:
        self.port = _free_port()
        self._subnet = ""
        self._is_complete = False

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
        self._is_complete = "--scale" not in arguments

    def restore(self) -> None:
        """Undo what tests did to it since it was last complete."""
        if not self._is_complete:
            self.up()

    def remove(self) -> None:
        """Take everything down, including the data."""
        self.compose("down", "--volumes", "--timeout", "5")
        if docker("network", "ls", "--quiet", "--filter", f"name=^{SITE_NETWORK}$"):
            docker("network", "rm", SITE_NETWORK)

    def compose(self, *arguments: str) -> str:
        """Run a docker compose command on this stack, and return its output."""
        if arguments[0] not in ("logs", "ps"):
            self._is_complete = False
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
        """Return what `docker inspect` reports of running containers, without the site's."""
        found = self._inspect("--quiet", *([service] if service else []))
        return [container for container in found if service_of(container) != "site"]

    def client(self) -> httpx.Client:
        """Return a client of the published port."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=40, trust_env=False)

    def troubles(self) -> str:
        """Return the states of all containers, and the last logs of unhealthy ones."""
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
    """Return the name of a container's service in docker-compose.yml."""
    name: str = container["Config"]["Labels"]["com.docker.compose.service"]
    return name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
