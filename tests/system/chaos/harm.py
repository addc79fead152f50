"""Do what the plan says to one deployment, and undo it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import asyncpg
import psutil

from tests.support import faults
from tests.support.chaos_report import Report
from tests.support.clocks import Clocks
from tests.support.deployment import Deployment
from tests.support.keys import QUEUE
from tests.support.small_disk import SmallDisk
from tests.support.system import PARTS, SERVICES
from tests.system.chaos import redis_faults
from tests.system.chaos.database_faults import (
    CANNOT_REACH,
    HeldSnapshot,
    OldStatistics,
    full_disk,
)
from tests.system.chaos.plan import Fault

# Servers die with the thread that started them: this one lives as long as the process.
LAUNCHER = ThreadPoolExecutor(1)

HOUR = 3600
SERVER_STEP = 10
"""Seconds that a server's clock jumps. Leases and pauses go by these clocks, so after an hour's
jump and back they would last an hour (docs/reliability.md, known limits)."""

KEPT_SECONDS = 10
"""For results to be persisted, where no other fault prevents it."""

CLOCK_WORDS = {
    "api": "api_service.main",
    "parser-http": "parser_service.main",
    "listener": "parser_service.redis_listener",
    "celery": "api_service.worker",
    "results": "api_service.worker.results",
    "beat": "api_service.worker.beat",
    "postgres": "postgres",
    "redis": "valkey-server",
}


class Harm:
    """Cause the faults of one run.

    Faults of one server exclude each other: what is down cannot be harmed. Old statistics and held
    snapshots outlast the others, until `end_lasting`: they may not keep anything from working.
    """

    def __init__(
        self,
        deployment: Deployment,
        report: Report,
        *,
        clocks: Clocks | None,
        disk: SmallDisk | None,
    ) -> None:
        self._deployment = deployment
        self._report = report
        self._clocks = clocks
        self._disk = disk
        self._locks = {"redis": asyncio.Lock(), "postgres": asyncio.Lock()}
        self._statistics = OldStatistics(deployment)
        self._snapshot = HeldSnapshot(deployment)

    async def do(self, fault: Fault) -> None:
        """Cause a fault, and end it, if it does not last."""
        match fault.verb:
            case "nest" | "half-write" | "retype":
                await self._harm_keys(fault)
            case "age":
                async with self._locks["postgres"]:
                    await self._statistics.begin(of_a_busy_day=fault.choice < 0.5)
            case "hold":
                await self._snapshot.begin()
            case "fill":
                async with self._locks["postgres"]:
                    await self._fill_disk(fault)
            case "jump":
                await self._shift_clock(fault)
            case _ if fault.name in self._locks:
                async with self._locks[fault.name]:
                    await self._harm_server(fault)
            case _:
                await self._harm_process(fault)

    async def whole_reads(self) -> int:
        """Return how often services read a whole table because of old statistics."""
        return await self._statistics.whole_reads()

    async def end_lasting(self) -> None:
        """End what outlasts a storm."""
        await self._snapshot.end()
        await self._statistics.end()

    async def _harm_process(self, fault: Fault) -> None:
        system = self._deployment.system
        if fault.name in SERVICES and fault.verb in ("kill", "terminate"):
            (system.kill if fault.verb == "kill" else system.terminate)(fault.name)
            return
        for process in system.processes(*PARTS[fault.name]):
            with suppress(psutil.NoSuchProcess):
                if fault.verb == "kill":
                    service = "parser" if fault.name in ("listener", "parser-http") else "worker"
                    system.ended_on_purpose[service] += 1
                    process.kill()
                else:
                    process.send_signal(signal.SIGSTOP)
                    await asyncio.sleep(fault.lasts)
                    process.send_signal(signal.SIGCONT)

    async def _harm_server(self, fault: Fault) -> None:
        deployment = self._deployment
        is_redis = fault.name == "redis"
        server = deployment.redis if is_redis else deployment.postgres
        match fault.verb:
            case "reset":
                (deployment.to_redis if is_redis else deployment.to_postgres).reset()
            case "stop":
                with server.paused():
                    await asyncio.sleep(fault.lasts)
            case _:
                await self._restart(server, fault)

    async def _restart(self, server: faults.Server, fault: Fault) -> None:
        stop: Callable[[], None] = server.stop if fault.verb == "terminate" else server.kill
        await self._in_launcher(stop)
        if fault.verb == "empty":
            server.empty()
        await asyncio.sleep(fault.lasts / 2)
        await self._in_launcher(server.start)

    async def _fill_disk(self, fault: Fault) -> None:
        if self._disk is None:
            self._report.notes.add(
                "a trigger that refuses writes stands in for PostgreSQL's full disk, "
                "since this user cannot mount a small one"
            )
        async with full_disk(self._deployment, self._disk, wal_first=fault.choice < 0.5):
            await asyncio.sleep(fault.lasts)
        await self._until_postgres_answers()

    async def _until_postgres_answers(self) -> None:
        """Start it again if it has ended for want of room, as `make run` does."""
        async with asyncio.timeout(60):
            while True:
                if not self._deployment.postgres.is_running():
                    self._report.ends_on_full_disk += 1
                    await self._in_launcher(self._deployment.postgres.start)
                with suppress(*CANNOT_REACH):
                    async with self._deployment.database() as connection:
                        await connection.execute("SELECT 1")
                    return
                await asyncio.sleep(0.2)

    async def _shift_clock(self, fault: Fault) -> None:
        if self._clocks is None:
            self._report.notes.add("no clock jumped: that needs a C compiler")
            return
        seconds = SERVER_STEP if fault.name in self._locks else HOUR
        with self._clocks.shifted(
            CLOCK_WORDS[fault.name], seconds if fault.choice < 0.5 else -seconds
        ):
            await asyncio.sleep(fault.lasts)

    async def _harm_keys(self, fault: Fault) -> None:
        if fault.verb == "retype":
            name = fault.one_of(*redis_faults.NAMES[fault.name])
            async with self._locks["redis"]:
                await redis_faults.retype(self._deployment, name)
            await asyncio.sleep(fault.lasts)
            async with self._locks["redis"]:
                await redis_faults.clear(self._deployment, name)
            return
        if fault.verb == "nest":
            jobs = await redis_faults.take(
                self._deployment, QUEUE, number=redis_faults.JOBS_AT_A_TIME
            )
            # Servers live meanwhile: what is stored is not lost, and its pages have to be kept.
            async with self._locks["redis"], self._locks["postgres"]:
                ids = await redis_faults.nest_results(self._deployment, fault, jobs)
                await self._check_kept(ids)
            number = len(ids)
        else:
            number = await redis_faults.half_write(self._deployment, fault)
        if not number:
            self._report.notes.add(f"no message came by for `{fault}` to harm, at least once")

    async def _check_kept(self, ids: list[int]) -> None:
        """Check that requests which soon end do so with the foreign parser's pages."""
        titles: list[asyncpg.Record] = []
        end = asyncio.get_running_loop().time() + KEPT_SECONDS
        while len(titles) < len(ids) and asyncio.get_running_loop().time() < end:
            async with self._deployment.database() as connection:
                titles = await connection.fetch(
                    "SELECT title FROM parse_requests"
                    " WHERE id = ANY($1) AND status IN ('success', 'failure')",
                    ids,
                )
            await asyncio.sleep(0.2)
        lost = [row["title"] for row in titles if row["title"] != redis_faults.FOREIGN_TITLE]
        if lost:
            self._report.breaches.append(f"{len(lost)} of {len(ids)} nested results were not kept")

    def _in_launcher(self, call: Callable[[], None]) -> Awaitable[None]:
        return asyncio.get_running_loop().run_in_executor(LAUNCHER, call)
