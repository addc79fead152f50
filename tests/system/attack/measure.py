"""Start a parser with its sites, ask it through both entrances, and watch it."""

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic
from urllib.parse import quote

import httpx
import psutil
import redis.asyncio as aioredis

from local.addresses import free_port
from local.valkey import Valkey
from tests.support.keys import QUEUE, result_key
from tests.support.system import ROOT
from tests.system.attack.attacks import Attack
from tests.system.attack.sites import BIG, NEIGHBOUR, SMALL, hostile_address

CALLS_AT_ONCE = 64
"""Calls of the attackers in flight; others wait in this process."""
FETCH_SECONDS = 6
DESCRIPTORS = 1024
MIB = 1024 * 1024


@dataclass
class Figures:
    """Hold what was measured while something happened.

    Attributes:
        stalls: seconds that each answer of `/health` took.
        small, big: seconds that a neighbour's page took through HTTP.
        jobs: seconds that a neighbour's job took.
        peak: MiB of the parser's processes together.
        failed: what became of neighbours' pages that failed.
        codes: how the attack's pages ended.
    """

    stalls: list[float] = field(default_factory=list)
    small: list[float] = field(default_factory=list)
    big: list[float] = field(default_factory=list)
    jobs: list[float] = field(default_factory=list)
    peak: float = 0.0
    failed: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)


@dataclass
class Target:
    """Give access to a running parser, and to the sites that it may fetch."""

    url: str
    keys: aioredis.Redis
    process: psutil.Process
    port: int
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(40))
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    async def fetch(self, client: httpx.AsyncClient, url: str, *, robots: bool = False) -> str:
        """Ask through HTTP; return the code, or `success`."""
        query = {"url": url, "respect_robots": str(robots).lower()}
        answer = await client.get(f"{self.url}/fetch", params=query)
        return "success" if answer.status_code == 200 else str(answer.json()["code"])

    async def job(self, url: str, *, robots: bool = False, waits: bool = True) -> str:
        """Ask through the list of jobs; return the code, or `success`."""
        async with self._gate if waits else contextlib.nullcontext():
            return await self._job(url, robots=robots)

    async def _job(self, url: str, *, robots: bool) -> str:
        name = f"attack-{next(self._ids)}"
        message = {"id": name, "url": url, "respect_robots": robots}
        await self.keys.rpush(QUEUE, json.dumps(message))
        end = monotonic() + 60
        while monotonic() < end:
            if (found := await self.keys.getdel(result_key(name))) is not None:
                result = json.loads(found)
                reason = result.get("reason") or {}
                return "success" if result["status"] == "success" else reason.get("code", "failure")
            await asyncio.sleep(0.02)
        return "no result"

    def urls(self, name: str, attack: Attack) -> list[str]:
        """Return the URLs of an attack, each once."""
        path = quote(name)
        return [
            f"http://{hostile_address(n % attack.hosts)}:{self.port}/{path}?{n}"
            for n in range(attack.number)
        ]

    def memory(self) -> float:
        """Return MiB of all processes; what they share counts once."""
        total = 0
        for process in [self.process, *self.process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error, OSError):
                total += process.memory_full_info().pss
        return total / MIB


async def attack(target: Target, named: dict[str, Attack], figures: Figures) -> None:
    """Send all requests of some attacks at once; the hosts' own limits hold them back."""
    # A thousand calls in the queue of the client's own pool would stop this process for seconds,
    # and what it measures with it.
    places = asyncio.Semaphore(CALLS_AT_ONCE)
    limits = httpx.Limits(max_connections=CALLS_AT_ONCE)

    async def fetch(url: str, *, robots: bool) -> str:
        async with places:
            return await target.fetch(client, url, robots=robots)

    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as client:
        asked = []
        for name, one in named.items():
            has_robots = one.robots is not None
            for number, url in enumerate(target.urls(name, one)):
                asked.append(
                    target.job(url, robots=has_robots)
                    if number % 2
                    else fetch(url, robots=has_robots)
                )
        figures.codes.update(await asyncio.gather(*asked))


@contextlib.asynccontextmanager
async def watching(target: Target, figures: Figures) -> AsyncIterator[None]:
    """Measure until the block ends, with neighbours at a steady rate."""
    stopping = asyncio.Event()
    own = httpx.AsyncClient(timeout=30, trust_env=False)
    small, big = (f"http://{NEIGHBOUR}:{target.port}{path}" for path in (SMALL, BIG))

    async def each(pause: float, into: list[float], ask: object) -> None:
        while not stopping.is_set():
            started = monotonic()
            outcome = await ask()  # type: ignore[operator]
            into.append(monotonic() - started)
            if outcome != "success":
                figures.failed[outcome] += 1
            await asyncio.sleep(pause)

    async def health() -> str:
        return "success" if (await own.get(f"{target.url}/health")).is_success else "no health"

    async def memory() -> None:
        while not stopping.is_set():
            figures.peak = max(figures.peak, await asyncio.to_thread(target.memory))
            await asyncio.sleep(0.2)

    tasks = [
        asyncio.create_task(each(0.02, figures.stalls, health)),
        asyncio.create_task(each(0.1, figures.small, lambda: target.fetch(own, small))),
        asyncio.create_task(each(0.4, figures.big, lambda: target.fetch(own, big))),
        asyncio.create_task(each(0.1, figures.jobs, lambda: target.job(small, waits=False))),
        asyncio.create_task(memory()),
    ]
    try:
        yield
    finally:
        # Not cancelled: the last answer of each, which may be the slowest, counts too.
        stopping.set()
        await asyncio.gather(*tasks)
        await own.aclose()


@contextlib.asynccontextmanager
async def target_in(folder: Path, *, hosts: int) -> AsyncIterator[Target]:
    """Start a parser of its own, and the sites; end all of them."""
    port, parser_port = free_port(), free_port()
    valkey = Valkey(folder, durable=False)
    valkey.start()
    started: list[subprocess.Popen[bytes]] = []
    try:
        for site in ("hostile", "neighbour"):
            words = ("-m", "tests.system.attack.sites", site, str(port), str(hosts))
            started.append(_start_site(words))
        environment = os.environ | {
            "REDIS_URL": valkey.url,
            "PARSER_PORT": str(parser_port),
            "FETCH_ALLOWED_NETWORKS": "127.0.0.0/8",
            "FETCH_ALLOWED_PORTS": str(port),
            "FETCH_TIMEOUT": str(FETCH_SECONDS),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        parser = _start_parser(folder, environment)
        started.append(parser)
        async with aioredis.Redis.from_url(
            valkey.url, socket_connect_timeout=30, socket_timeout=30
        ) as keys:
            target = Target(
                f"http://127.0.0.1:{parser_port}", keys, psutil.Process(parser.pid), port
            )
            await _until_ready(target)
            yield target
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=15)
        valkey.stop()


def _start_site(words: tuple[str, ...]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    return process


def _start_parser(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / "parser.log").open("wb") as log:
        return subprocess.Popen(
            ["./start_parser.sh"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            preexec_fn=_limit_descriptors,  # noqa: PLW1509 - no other thread holds a lock
        )


def _limit_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


async def _until_ready(target: Target) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(300):
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"{target.url}/health")).is_success:
                    break
            await asyncio.sleep(0.1)
    assert await target.job(f"http://{NEIGHBOUR}:{target.port}{SMALL}") == "success"
