"""The stack keeps what docker-compose.yml promises, on a real engine and its published port."""

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from tests.compose.stack import ROOT, SITE, Stack, StackError, docker, documented, service_of

pytestmark = pytest.mark.compose

SERVICES = {"db", "redis", "worker", "beat", "parser", "api"}
TITLE = "A page for the stack"
PAGE = f"{SITE}/page"


def submit(client: httpx.Client, count: int = 1) -> list[int]:
    """Submit `count` pages, and return the requests' ids."""
    answers = [client.post("/parse_async", json={"url": f"{PAGE}?{n}"}) for n in range(count)]
    assert [answer.status_code for answer in answers] == [202] * count
    return [answer.json()["request_id"] for answer in answers]


def results(client: httpx.Client, ids: Sequence[int], *, seconds: float = 60) -> list[Any]:
    """Wait until all have ended, and return their results."""
    deadline = monotonic() + seconds
    ended = []
    for number in ids:
        while True:
            result = client.get(f"/result/{number}", params={"wait": 5}).json()
            if result["status"] in ("success", "failure") or monotonic() > deadline:
                break
        ended.append(result)
    return ended


def assert_parsed(found: Sequence[Any]) -> None:
    for result in found:
        assert (result["status"], result["title"]) == ("success", TITLE), result


def run_in(container: dict[str, Any], *command: str) -> str:
    return docker("exec", container["Id"], *command).strip()


def addresses(container: dict[str, Any]) -> set[str]:
    networks = container["NetworkSettings"]["Networks"].values()
    return {network["IPAddress"] for network in networks}


def test_what_is_up_is_ready(client: httpx.Client) -> None:
    answer = client.get("/ready")
    assert answer.status_code == 200, answer.text
    assert set(answer.json()["checks"].values()) == {"ok"}


def test_a_page_is_parsed_later(client: httpx.Client) -> None:
    assert_parsed(results(client, submit(client)))


def test_a_page_is_parsed_at_once(client: httpx.Client) -> None:
    answer = client.get("/parse_sync", params={"url": PAGE})
    assert answer.status_code == 200, answer.text
    assert answer.json()["title"] == TITLE
    assert "It is short." in answer.json()["html"]


@pytest.mark.parametrize(
    ("host", "code"),
    [("redis", "dns_error"), ("parser", "dns_error"), ("127.0.0.1", "blocked_address")],
)
def test_what_is_inside_is_not_fetched(client: httpx.Client, host: str, code: str) -> None:
    answer = client.get("/parse_sync", params={"url": f"http://{host}/"})
    assert (answer.status_code, answer.json()["code"]) == (502, code)


def test_only_the_api_is_published_and_only_on_loopback(stack: Stack) -> None:
    published = {
        (service_of(container), bound["HostIp"], bound["HostPort"])
        for container in stack.containers()
        for bindings in container["NetworkSettings"]["Ports"].values()
        for bound in bindings or ()
    }
    assert published == {("api", "127.0.0.1", str(stack.port))}


def test_every_container_is_confined(stack: Stack) -> None:
    containers = stack.containers()
    assert {service_of(container) for container in containers} == SERVICES
    for container in containers:
        name, host = service_of(container), container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        status = run_in(container, "cat", "/proc/1/status").splitlines()
        facts = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        assert "0" not in facts["Uid"].split(), name
        assert int(facts["CapEff"], 16) == 0, name
        with pytest.raises(StackError, match="Read-only file system"):
            run_in(container, "touch", "/made")


def test_a_parser_cannot_reach_the_database(stack: Stack) -> None:
    (parser,), (database,), (redis,) = map(stack.containers, ("parser", "db", "redis"))
    connect = "import socket, sys; socket.create_connection((sys.argv[1], sys.argv[2]), 2)"
    for host in ("db", *addresses(database)):
        with pytest.raises(StackError, match=r"gaierror|TimeoutError|unreachable"):
            run_in(parser, "python", "-c", connect, host, "5432")
    for host in ("redis", *addresses(redis)):  # proves that the probe itself works
        run_in(parser, "python", "-c", connect, host, "6379")


def test_the_parser_does_not_know_the_databases_password(stack: Stack) -> None:
    for service in ("parser", "beat", "redis"):
        (container,) = stack.containers(service)
        assert "PASSWORD" not in run_in(container, "env"), service


def test_several_parsers_and_workers_share_the_work(stack: Stack) -> None:
    since = docker("info", "--format", "{{.SystemTime}}").strip()
    stack.up("--scale", "parser=3", "--scale", "worker=2")
    assert [len(stack.containers(name)) for name in ("parser", "worker")] == [3, 2]
    with stack.client() as client:
        assert_parsed(results(client, submit(client, 100)))
    asked = stack.compose("logs", "--no-log-prefix", "--since", since, "site")
    clients = set(re.findall(r"([0-9.]+) - - .*/page", asked))
    parsers = set.union(*map(addresses, stack.containers("parser")))
    assert len(clients & parsers) > 1


def test_a_killed_parser_serves_new_jobs_when_it_is_back(
    stack: Stack, client: httpx.Client
) -> None:
    stack.compose("kill", "parser")
    accepted = submit(client, 5)
    sleep(2)
    states = {client.get(f"/status/{number}").json()["status"] for number in accepted}
    assert states <= {"pending", "processing"}
    stack.up()
    assert_parsed(results(client, [*accepted, *submit(client, 5)]))


@pytest.mark.parametrize("service", ["parser", "worker", "api", "beat"])
def test_a_service_whose_process_dies_is_started_again(stack: Stack, service: str) -> None:
    (container,) = stack.containers(service)
    # The engine does not restart what `docker kill` ends. The killer may die with the rest.
    with contextlib.suppress(StackError):
        run_in(container, "python", "-c", "import os, signal; os.kill(-1, signal.SIGKILL)")
    deadline = monotonic() + 20
    while stack.containers(service)[0]["RestartCount"] == 0:
        assert monotonic() < deadline
        sleep(0.2)
    stack.up()
    with stack.client() as client:
        assert_parsed(results(client, submit(client)))


def test_down_and_up_keep_results_and_waiting_jobs(stack: Stack) -> None:
    with stack.client() as client:
        done = submit(client)
        assert_parsed(results(client, done))
        stack.compose("stop", "parser")
        waiting = submit(client, 3)
        sleep(1)  # until the worker has pushed them: they wait in Redis
    stack.compose("down")
    stack.up()
    with stack.client() as client:
        assert_parsed(results(client, [*done, *waiting]))


def test_a_stop_is_clean_and_in_time(stack: Stack) -> None:
    containers = stack.containers()
    started = monotonic()
    stack.compose("stop")
    assert monotonic() - started < 15
    for container in containers:
        (ended,) = json.loads(docker("inspect", container["Id"]))
        # 143: ended by the SIGTERM that asked for it.
        assert ended["State"]["ExitCode"] in (0, 143), service_of(container)


def test_every_variable_of_env_example_reaches_a_service(tmp_path: Path) -> None:
    values = {
        "API_BIND": "127.0.0.9",
        "API_PORT": "8009",
        "BACKEND_INTERNAL": "false",
        "POSTGRES_PASSWORD": "a$b#c d@/",
        "REDIS_MAXMEMORY": "77mb",
    }
    values |= {name: "701m" for name in documented() if name.endswith("_MEMORY")}
    values |= {name: f"set {name}" for name in documented() if name not in values}
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
    config = json.loads(
        docker(
            *("compose", "--env-file", str(env_file), "--file", str(ROOT / "docker-compose.yml")),
            *("config", "--format", "json"),
        )
    )
    services = config["services"]
    reached = {
        name for service in services.values() for name in service.get("environment", {}).items()
    }
    for name, value in values.items():
        if value == f"set {name}":
            assert (name, value) in reached, name
    # Compose escapes a dollar by doubling it, so that its output can be read again.
    password = values["POSTGRES_PASSWORD"].replace("$", "$$")
    assert services["db"]["environment"]["POSTGRES_PASSWORD"] == password
    assert services["worker"]["environment"]["PGPASSWORD"] == password
    assert "77mb" in services["redis"]["command"]
    assert services["api"]["ports"][0]["host_ip"] == "127.0.0.9"
    assert services["api"]["ports"][0]["published"] == "8009"
    assert {network.get("internal", False) for network in config["networks"].values()} == {False}
    limited = {name for name in services if services[name]["mem_limit"] == str(701 * 2**20)}
    assert limited == {"api", "db", "parser", "redis", "worker"}
