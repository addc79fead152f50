"""With `rediss://`, every client of every process speaks TLS and verifies the certificate."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.addresses import free_port
from local.valkey import Valkey
from tests.support.site import Site
from tests.support.system import ROOT, results, running, submit
from tests.support.tls_ends import (
    CLIENT_HELLO,
    forward_to,
    issue_certificate,
    open_recorder,
    serving,
)
from tests.support.waiting import until

PROCESSES = {
    "api": ["uvicorn", "api_service.main:app", "--port"],
    "worker": ["api_service.worker"],
    "results": ["api_service.worker.results"],
    "beat": ["api_service.worker.beat"],
    "parser HTTP": ["uvicorn", "parser_service.main:app", "--port"],
    "listener": ["parser_service.redis_listener"],
}


@contextlib.contextmanager
def _running(arguments: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    with (folder / "out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", PROCESSES)
async def test_every_connection_begins_with_a_tls_handshake(
    name: str, database_url: str, tmp_path: Path
) -> None:
    arguments = list(PROCESSES[name])
    port = free_port()
    if name == "beat":
        arguments.append(str(tmp_path / "schedule"))
    if arguments[-1] == "--port":
        arguments.append(str(port))
    firsts: list[bytes] = []
    async with open_recorder(firsts) as redis_port:
        environment = {
            "API_HOST": "127.0.0.1",
            "DATABASE_URL": database_url,
            "REDIS_URL": f"rediss://someone:confidential@127.0.0.1:{redis_port}/0",
            "FETCH_ALLOWED_NETWORKS": "127.0.0.0/8",
            "FETCH_ALLOWED_PORTS": "1-65535",
        }
        with _running(arguments, tmp_path, environment):
            if name in ("api", "parser HTTP"):
                await _call(name, f"http://127.0.0.1:{port}", firsts)
            await until(lambda: len(firsts) >= 2, seconds=20)
    assert not any(b"confidential" in first for first in firsts)
    assert [first[0] for first in firsts if first] == [CLIENT_HELLO] * len(firsts)


async def _call(name: str, url: str, firsts: list[bytes]) -> None:
    """Have a service use Redis: the API publishes, the parser asks for a host's slot."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:

        async def has_started() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get("/health")).status_code == 200
            return False

        await until(has_started, seconds=20)
        if name == "api":
            firsts.clear()  # what follows comes from the publisher
            for _ in range(2):
                answer = await client.post("/parse_async", json={"url": "https://a.example/"})
                assert answer.status_code == 202
        else:
            for _ in range(2):
                await client.get("/fetch", params={"url": "http://127.0.0.1:1/"})


@pytest.mark.slow
async def test_the_system_works_over_tls_that_its_ca_bundle_verifies(
    tmp_path: Path, site: Site
) -> None:
    context, bundle = issue_certificate(tmp_path)
    valkey = Valkey(tmp_path / "server", durable=False)
    valkey.start()
    try:
        with serving(forward_to(valkey.port), context) as port:
            url = valkey.url.replace("redis:", "rediss:").replace(f":{valkey.port}/", f":{port}/")
            variables = {"REDIS_URL": url, "REDIS_CA_BUNDLE": str(bundle)}
            url = site.page("/", "<title>safe</title>")
            with running(tmp_path / "system", **variables) as system:
                async with system.client() as client:
                    ids = [await submit(client, url) for _ in range(20)]
                    ended = [result async for result in results(client, ids)]
                    assert {result["status"] for result in ended} == {"success"}
    finally:
        valkey.stop()
