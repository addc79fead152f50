"""Run seeded storms of faults under steady load, and prove that nothing was lost or doubled.

`make chaos` runs `python -m tests.system.chaos`. Environment:

MINUTES  length of the run (default 2)
SEED     decides the order of faults (default: a random one, which is printed)
PUBLISH  Markdown file to write the report into, between its two marks

Storms of a minute follow each other. After each, all faults are undone. Once all processes run
again, the run measures the time until each accepted request has ended, is being fetched or is
queued again. The load never pauses. The services' settings are the defaults.
"""

import asyncio
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from time import monotonic

import psutil

from tests.support import faults, invariants
from tests.support.chaos_report import MARKS, Report, Storm
from tests.support.deployment import Deployment, deployed
from tests.support.load import Load, load_on
from tests.support.site import Site
from tests.support.system import PARTS, SERVICES

STORM_SECONDS = 60
LAST_SECONDS = 240
"""For all requests to end, after the last storm."""

# Servers die with the thread that started them: this one lives as long as the process.
LAUNCHER = ThreadPoolExecutor(1)

KINDS = [
    *[("kill", name) for name in SERVICES],
    *[("terminate", name) for name in SERVICES],
    *[("kill", name) for name in ("listener", "parser-http", "celery", "results")],
    *[("stop", name) for name in PARTS],
    *[(verb, name) for verb in ("kill", "stop", "terminate") for name in ("redis", "postgres")],
    *[("reset", "redis"), ("reset", "postgres"), ("empty", "redis")],
]


class Chaos:
    """Harm one deployment in an order that the seed decides."""

    def __init__(self, deployment: Deployment, load: Load, report: Report) -> None:
        self._deployment = deployment
        self._load = load
        self._report = report
        self._random = random.Random(report.seed)
        self._locks = {"redis": asyncio.Lock(), "postgres": asyncio.Lock()}
        self._started = monotonic()

    async def run(self) -> None:
        """Run one storm after another, then the final check."""
        load, report = self._load, self._report
        end = self._started + report.minutes * 60
        async with AsyncExitStack() as loads:
            await loads.enter_async_context(load.steady(clients=3, pause=0.1))
            await loads.enter_async_context(load.steady(clients=3, pause=0.1, keyed=True))
            while (left := end - monotonic()) > 0:
                await self._storm(min(STORM_SECONDS, left))
        self._say("waiting for the end of all requests")
        try:
            await invariants.have_ended(self._deployment, load.ids, seconds=LAST_SECONDS)
            await invariants.nothing_is_left(self._deployment)
        except AssertionError as error:
            report.breaches.append(str(error))
        await self._take_stock()

    async def _storm(self, seconds: float) -> None:
        end = monotonic() + seconds
        faults_in_flight = []
        number = 0
        while monotonic() < end:
            verb, name = self._random.choice(KINDS)
            pause, lasts = self._random.uniform(2, 5), self._random.uniform(1, 8)
            self._say(f"{verb} {name}")
            self._report.faults[f"{verb} {name}"] += 1
            number += 1
            faults_in_flight.append(asyncio.create_task(self._harm(verb, name, lasts)))
            await asyncio.sleep(pause)
        await asyncio.gather(*faults_in_flight)
        healed = monotonic()
        await self._deployment.until_ready(seconds=120)
        ready = monotonic() - healed
        ids = set(self._load.ids)
        recovery = await invariants.are_accounted_for(self._deployment, ids)
        self._report.storms.append(Storm(number, len(ids), ready, recovery))
        self._say(f"all processes ran again after {ready:.1f} s, recovered {recovery:.1f} s later")

    async def _harm(self, verb: str, name: str, lasts: float) -> None:
        if name in self._locks:
            async with self._locks[name]:
                await self._harm_server(verb, name, lasts)
            return
        system = self._deployment.system
        if name in SERVICES and verb in ("kill", "terminate"):
            (system.kill if verb == "kill" else system.terminate)(name)
            return
        for process in system.processes(*PARTS[name]):
            with suppress(psutil.NoSuchProcess):
                if verb == "kill":
                    service = "parser" if name in ("listener", "parser-http") else "worker"
                    system.ended_on_purpose[service] += 1
                    process.kill()
                else:
                    process.send_signal(signal.SIGSTOP)
                    await asyncio.sleep(lasts)
                    process.send_signal(signal.SIGCONT)

    async def _harm_server(self, verb: str, name: str, lasts: float) -> None:
        deployment = self._deployment
        server = deployment.redis if name == "redis" else deployment.postgres
        proxy = deployment.to_redis if name == "redis" else deployment.to_postgres
        match verb:
            case "reset":
                proxy.reset()
            case "stop":
                with server.paused():
                    await asyncio.sleep(lasts)
            case _:
                await self._restart(server, verb, lasts)

    async def _restart(self, server: faults.Server, verb: str, lasts: float) -> None:
        stop: Callable[[], None] = server.stop if verb == "terminate" else server.kill
        await self._in_launcher(stop)
        if verb == "empty":
            server.empty()
        await asyncio.sleep(lasts / 2)
        await self._in_launcher(server.start)

    def _in_launcher(self, call: Callable[[], None]) -> Awaitable[None]:
        return asyncio.get_running_loop().run_in_executor(LAUNCHER, call)

    async def _take_stock(self) -> None:
        """Complete the report, including what is wrong."""
        load, report, system = self._load, self._report, self._deployment.system
        report.take(load)
        report.breaches += await self._deployment.ledger.breaches(load.ids)
        for key, ids in load.by_key.items():
            if len(ids) > 1:
                report.breaches.append(f"the key {key} got {len(ids)} requests")
        unasked = system.ended() - system.ended_on_purpose
        report.breaches += [f"{name} ended {n} times unasked" for name, n in unasked.items()]
        async with self._deployment.database() as connection:
            rows = await connection.fetch(
                "SELECT status, count(*) AS n, max(updated_at - created_at) AS slowest"
                " FROM parse_requests GROUP BY status"
            )
            gone = await connection.fetchval(
                "SELECT count(*) FROM unnest($1::bigint[]) AS id"
                " WHERE id NOT IN (SELECT id FROM parse_requests)",
                list(set(load.ids)),
            )
        report.ended = {row["status"]: row["n"] for row in rows}
        report.unfinished = gone + sum(report.ended.get(s, 0) for s in ("pending", "processing"))
        report.slowest_end = max(row["slowest"].total_seconds() for row in rows)

    def _say(self, what: str) -> None:
        print(f"{monotonic() - self._started:7.1f} s  {what}", flush=True)


def _add_slow_and_missing_pages(load: Load, site: Site) -> None:
    """Add slow pages, so that parsers always have some in flight, and a missing one."""
    slow = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>slow</title>"
    for number in range(5):
        url = site.raw(f"/slow/{number}", slow, delay=0.5 + number / 2)
        load.urls.insert(number * 10, url.replace("127.0.0.1", f"127.0.0.{number % 2 + 1}"))
    load.urls.insert(7, site.url("/missing"))


async def run(report: Report, folder: Path) -> None:
    """Start everything, harm it, and fill in the report."""
    async with deployed(folder) as deployment:
        load = load_on(deployment.system.url, deployment.site)
        _add_slow_and_missing_pages(load, deployment.site)
        try:
            await Chaos(deployment, load, report).run()
        except AssertionError as error:
            report.take(load)
            report.breaches.append(str(error))


def main() -> int:
    """Run as the environment says, and return the exit status."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    report = Report(seed=seed, minutes=float(os.environ.get("MINUTES") or 2))
    print(f"SEED={seed} MINUTES={report.minutes:g}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="page-parser-chaos-"))
    folder.chmod(0o755)
    asyncio.run(run(report, folder))
    if report.breaches:
        print(f"The logs are in {folder}.")
    else:
        shutil.rmtree(folder)
    text = report.markdown()
    print(text)
    if path := os.environ.get("PUBLISH"):
        file = Path(path)
        between = re.compile(f"(?<={re.escape(MARKS[0])}\n).*(?={re.escape(MARKS[1])})", re.DOTALL)
        file.write_text(between.sub(lambda _: f"\n{text}\n", file.read_text()))
    return 1 if report.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
