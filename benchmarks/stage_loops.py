"""Take jobs through all stages, one stage after the other, and time each stage.

The stages run the services' own code on real servers. A separate database and Redis number keep
the running system from taking the jobs.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TextIO

from api_service.assembly.worker import open_worker
from api_service.config import Settings as ApiSettings
from api_service.database import Database
from api_service.process import log as logging_setup
from benchmarks.load import Load
from benchmarks.report import show_progress
from benchmarks.stages_of_api import Worker, insert, publish, read_requests, record
from benchmarks.stages_of_parser import run_parser_stages
from benchmarks.stopwatch import Stage, Stopwatch
from benchmarks.system import ROOT
from parser_service.config import Settings as ParserSettings

DATABASE = "stages"
REDIS_NUMBER = 1
JOBS = {20: 1200, 200: 400}
QUICK_SHARE = 0.25


async def run_stages(load: Load, *, kib: int, batch: int, quick: bool) -> list[Stage]:
    """Run every stage, in order, for pages of this size; return the timed stages."""
    jobs = int(JOBS[kib] * (QUICK_SHARE if quick else 1))
    urls = [load.system.page(kib, number) for number in range(jobs)]
    environment = load.system.environment | {
        "DATABASE_URL": await _create_database(load),
        "REDIS_URL": load.system.redis_url(REDIS_NUMBER),
    }
    watch = Stopwatch()
    with _replaced_environment(environment):
        settings, parser_settings = ApiSettings.load_or_exit(), ParserSettings.load_or_exit()
    database = Database(settings.database_address, timeout=10)
    # Log lines are part of the work: they are formatted, then discarded.
    with contextlib.redirect_stdout(_open_null()):
        logging_setup.configure("bench", settings.log_level)
        async with open_worker(settings) as context:
            worker = Worker(context, environment, _open_null())
            try:
                async with load.system.redis(REDIS_NUMBER) as redis:
                    await worker.hold(redis)
                await read_requests(watch, urls)
                ids = await insert(watch, database, urls, batch)
                await publish(watch, settings, ids, urls, batch)
                await worker.consume(watch, jobs)
            finally:
                worker.stop()
            await run_parser_stages(watch, parser_settings, jobs=jobs, batch=batch)
            await record(watch, context, jobs, batch)
    await database.dispose()
    total = sum(stage.cpu_ms for stage in watch.stages)
    show_progress(f"stages, {kib} KiB, {batch} at a time: {total:.2f} ms CPU in total")
    return watch.stages


@cache
def _open_null() -> TextIO:
    """Open /dev/null once; never close it, because loggers keep it."""
    return Path(os.devnull).open("w")


async def _create_database(load: Load) -> str:
    """Create the stages' database unless it exists; return its URL."""
    url = load.system.postgres.url_of(DATABASE)
    there = await load.database.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE)
    if not there:
        await load.database.execute(f"CREATE DATABASE {DATABASE}")
        migration = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "alembic", "upgrade", "head"),
            cwd=ROOT,
            env=load.system.environment | {"DATABASE_URL": url},
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await migration.wait() == 0
    return url


@contextlib.contextmanager
def _replaced_environment(environment: dict[str, str]) -> Iterator[None]:
    """Replace the environment of this process for the block, so that settings are read from it."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
