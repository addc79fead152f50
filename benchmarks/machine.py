"""Describe the machine that the figures were measured on."""

import os
import platform
from pathlib import Path

import psutil
from redis.asyncio import Redis

from benchmarks.load import Load
from benchmarks.report import Table


async def machine(load: Load) -> Table:
    """List the machine's properties and the versions of the software."""
    postgres = await load.database.fetchval("SHOW server_version")
    async with load.system.redis() as redis:
        valkey = await _valkey_version(redis)
    rows = [
        ("processor", _processor()),
        ("cores", f"{len(os.sched_getaffinity(0))}"),
        ("memory", f"{psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("PostgreSQL", postgres),
        ("Valkey", valkey),
    ]
    return Table(("what", "which"), rows)


async def _valkey_version(redis: Redis) -> str:
    facts = await redis.info("server")
    return str(facts.get("valkey_version") or facts.get("redis_version"))


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.machine()
