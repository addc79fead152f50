"""Run seeded storms of faults under steady load, and prove that nothing was lost or doubled.

`make chaos` runs `python -m tests.system.chaos`. Environment:

MINUTES  length of the run (default 2)
SEED     decides the order of faults (default: a random one, which is printed)
PUBLISH  Markdown file to write the report into, between its two marks

The services' settings are the defaults.
"""

import asyncio
import os
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.chaos_report import MARKS, Report
from tests.support.clocks import Clocks, can_shift_clocks
from tests.support.deployment import deployed
from tests.support.load import Load, load_on
from tests.support.site import Site
from tests.support.small_disk import small_disk
from tests.system.chaos.harm import Harm
from tests.system.chaos.storms import Chaos


def _add_slow_and_missing_pages(load: Load, site: Site) -> None:
    """Add slow pages, so that parsers always have some in flight, and a missing one."""
    slow = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>slow</title>"
    for number in range(5):
        url = site.raw(f"/slow/{number}", slow, delay=0.5 + number / 2)
        load.urls.insert(number * 10, url.replace("127.0.0.1", f"127.0.0.{number % 2 + 1}"))
    load.urls.insert(7, site.url("/missing"))


async def run(report: Report, folder: Path) -> None:
    """Start everything, harm it, and fill in the report."""
    clocks = None
    if can_shift_clocks():
        (folder / "clocks").mkdir()
        clocks = Clocks(folder / "clocks")
        os.environ.update(clocks.environment)  # for the servers, which are our children
    with small_disk(folder / "servers" / "postgres") as disk:
        async with deployed(folder) as deployment:
            load = load_on(deployment.system.url, deployment.site)
            _add_slow_and_missing_pages(load, deployment.site)
            harm = Harm(deployment, report, clocks=clocks, disk=disk)
            try:
                await Chaos(deployment, load, report, harm).run()
            except AssertionError as error:
                report.take(load)
                report.breaches.append(str(error))
            finally:
                await harm.end_lasting()


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
