"""Harm one deployment storm by storm, and check after each and at the end what must hold.

Storms of a minute follow each other. After each, all faults are undone but the lasting ones: old
statistics and held snapshots. Once all processes run again, the storm measures the time until each
accepted request has ended, is being fetched or is queued again. Then the API must accept every
request for some seconds, and the lasting faults end. The load never pauses.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from time import monotonic

from tests.support import invariants
from tests.support.chaos_report import Report, Storm
from tests.support.deployment import Deployment
from tests.support.load import Load
from tests.system.chaos.database_faults import STANDING_URLS
from tests.system.chaos.harm import Harm
from tests.system.chaos.plan import Fault, plan

STORM_SECONDS = 60
QUIET_SECONDS = 8
"""Longer than the API waits for PostgreSQL, so that what blocks it shows."""
LAST_SECONDS = 240
"""For all requests to end, after the last storm."""
REFUSED = "503 database_unavailable"


class Chaos:
    """Run the plan of a seed against one deployment."""

    def __init__(self, deployment: Deployment, load: Load, report: Report, harm: Harm) -> None:
        self._deployment = deployment
        self._load = load
        self._report = report
        self._harm = harm
        self._plan: Iterator[Fault] = plan(report.seed)
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
            fault = next(self._plan)
            self._say(str(fault))
            counts = self._report.data_faults if fault.is_of_data else self._report.faults
            counts[str(fault)] += 1
            number += 1
            faults_in_flight.append(asyncio.create_task(self._harm.do(fault)))
            await asyncio.sleep(fault.pause)
        await asyncio.gather(*faults_in_flight)
        self._report.whole_reads += await self._harm.whole_reads()
        healed = monotonic()
        await self._deployment.until_ready(seconds=120)
        ready = monotonic() - healed
        ids = set(self._load.ids)
        recovery = await invariants.are_accounted_for(self._deployment, ids)
        self._report.storms.append(Storm(number, len(ids), ready, recovery))
        self._say(f"all processes ran again after {ready:.1f} s, recovered {recovery:.1f} s later")
        await self._check_quiet()
        await self._harm.end_lasting()

    async def _check_quiet(self) -> None:
        """Check that the lasting faults, which are all there is now, have nothing refused."""
        before = self._load.answers.copy()
        await asyncio.sleep(QUIET_SECONDS)
        since = self._load.answers - before
        if since[REFUSED] or not since["202"]:
            self._report.breaches.append(f"after a storm, clients got {dict(since)}")

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
        if report.whole_reads:
            report.breaches.append(f"a table was read whole {report.whole_reads} times")
        async with self._deployment.database() as connection:
            rows = await connection.fetch(
                "SELECT status, count(*) AS n, max(updated_at - created_at) AS slowest"
                " FROM parse_requests WHERE NOT starts_with(url, $1) GROUP BY status",
                STANDING_URLS,
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
