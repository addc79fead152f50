"""The previous version and this one, side by side on one database and one Redis, under load."""

import asyncio
import io
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support import faults
from tests.support.load import Load
from tests.support.migrations import upgrade
from tests.support.servers import dsn
from tests.support.site import Site
from tests.support.system import ROOT, RunningSystem, open_to_all, start
from tests.support.waiting import until

pytestmark = pytest.mark.slow

PREVIOUS = "e0d26afb751f050a07ef063099625faffa4b2071"
"""The last commit of the version before this one; its migration is 0003."""


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """Unpack the previous version from git history."""
    command = ["git", "archive", "--format=tar", PREVIOUS]
    packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"git history does not reach back to {PREVIOUS[:7]}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(tmp_path / "previous", filter="data")
    return tmp_path / "previous"


@pytest.fixture
async def urls(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Serve one PostgreSQL and one Valkey for both versions."""
    open_to_all(tmp_path)
    servers = (faults.postgres(tmp_path / "servers"), faults.valkey(tmp_path / "servers"))
    for server in servers:
        server.start()
    yield {"DATABASE_URL": servers[0].url, "REDIS_URL": servers[1].url}
    for server in servers:
        server.stop()


def _load(system: RunningSystem, site: Site) -> Load:
    pages = [site.page(f"/{n}", f"<title>{n}</title>") for n in range(50)]
    return Load(system.url, pages)


async def _run(seconds: float, *loads: Load) -> None:
    """Keep posting to each system for some seconds."""
    async with asyncio.TaskGroup() as tasks:
        for load in loads:
            tasks.create_task(_steady(load, seconds))


async def _steady(load: Load, seconds: float) -> None:
    async with load.steady(clients=4, pause=0.02):
        await asyncio.sleep(seconds)


async def _read_all(system: RunningSystem, ids: set[int]) -> None:
    """Read every request through one API, whichever version accepted it."""
    async with system.client() as client:
        for request_id in sorted(ids)[-100:]:
            answer = await client.get(f"/result/{request_id}")
            assert answer.status_code == 200, answer.text
            if answer.json()["status"] == "success":
                assert answer.json()["title"]


async def _have_all_ended(database_url: str, ids: set[int]) -> None:
    connection = await asyncpg.connect(dsn(database_url))

    async def ended() -> bool:
        query = "SELECT count(*) FROM parse_requests WHERE status = 'success' AND id = ANY($1)"
        return int(await connection.fetchval(query, list(ids))) == len(ids)

    try:
        await until(ended, seconds=60)
    finally:
        await connection.close()


async def test_an_upgrade_and_the_way_back_lose_nothing_and_fail_no_request(
    tmp_path: Path, previous: Path, urls: dict[str, str], site: Site
) -> None:
    old = await asyncio.to_thread(start, tmp_path / "old", previous, **urls)
    new: RunningSystem | None = None
    try:
        on_old = _load(old, site)
        async with on_old.steady(clients=4, pause=0.02):
            # This migrates the database, under load of the version before.
            new = await asyncio.to_thread(start, tmp_path / "new", **urls)
        on_new = _load(new, site)
        await _run(4, on_old, on_new)
        for system in (old, new):
            await _read_all(system, on_old.ids | on_new.ids)

        await asyncio.to_thread(new.stop)  # the way back: the version before still runs
        await _run(2, on_old)
        await _read_all(old, on_old.ids | on_new.ids)

        new = await asyncio.to_thread(start, tmp_path / "new", **urls)
        again = _load(new, site)
        await asyncio.to_thread(old.stop)
        await _run(2, again)
        await _read_all(new, on_old.ids | on_new.ids | again.ids)
    finally:
        await asyncio.to_thread(old.stop)
        if new is not None:
            await asyncio.to_thread(new.stop)
    for load in (on_old, on_new, again):
        assert load.ids
        assert set(load.answers) <= {"200", "202"}, load.answers
        assert not load.broken
    await _have_all_ended(urls["DATABASE_URL"], on_old.ids | on_new.ids | again.ids)


async def test_the_page_of_the_previous_version_reads_the_same_in_this_one(
    tmp_path: Path, previous: Path, urls: dict[str, str], site: Site
) -> None:
    page = site.page("/", "<html lang=en><title>A</title><meta name=author content=B>")
    old = await asyncio.to_thread(start, tmp_path / "old", previous, **urls)
    try:
        async with old.client() as client:
            accepted = (await client.post("/parse_async", json={"url": page})).json()
            path = f"/result/{accepted['request_id']}"
            before = await _ended(client, path)
    finally:
        await asyncio.to_thread(old.stop)
    new = await asyncio.to_thread(start, tmp_path / "new", **urls)
    try:
        async with new.client() as client:
            after = await _ended(client, path)
    finally:
        await asyncio.to_thread(new.stop)
    assert after["metadata"].pop("video") is None  # a fact that the previous version does not have
    assert after == before


FUTURE = """
    ALTER TABLE parse_requests ADD COLUMN of_the_future text;
    UPDATE alembic_version SET version_num = 'of_the_future';
"""


async def test_this_version_serves_restarts_and_starts_on_the_schema_of_a_later_one(
    tmp_path: Path, urls: dict[str, str], site: Site
) -> None:
    system = await asyncio.to_thread(start, tmp_path / "new", **urls)
    try:
        load = _load(system, site)
        async with load.steady(clients=4, pause=0.02), system.client() as client:
            connection = await asyncpg.connect(dsn(urls["DATABASE_URL"]))
            await connection.execute(FUTURE)
            await connection.close()
            await asyncio.sleep(1)
            assert (await client.get("/ready")).json()["status"] == "ready"
        assert set(load.answers) <= {"200", "202"}, load.answers
        assert not load.broken
        for name in ("api", "worker", "beat", "parser"):
            assert system.terminate(name)
        await until(lambda: set(system.ended()) == {"api", "worker", "beat", "parser"}, seconds=20)
        async with system.client() as client:

            async def is_ready() -> bool:
                return (await client.get("/ready")).status_code == 200

            await until(is_ready, seconds=30)
            await asyncio.sleep(2)
            assert system.ended().total() == 4, system.output()  # each started at its first try
            restarted = _load(system, site)
            await _run(2, restarted)
    finally:
        await asyncio.to_thread(system.stop)
    # This runs its migrations, too.
    again = await asyncio.to_thread(start, tmp_path / "again", **urls)
    try:
        last = _load(again, site)
        await _run(1, last)
        await _read_all(again, load.ids | restarted.ids | last.ids)
    finally:
        await asyncio.to_thread(again.stop)
    for each in (restarted, last):
        assert each.ids
        assert set(each.answers) <= {"200", "202"}, each.answers
    await _have_all_ended(urls["DATABASE_URL"], load.ids | restarted.ids | last.ids)


async def test_the_version_before_this_one_serves_on_and_is_not_ready_after_the_migration(
    tmp_path: Path, previous: Path, urls: dict[str, str]
) -> None:
    old = await asyncio.to_thread(start, tmp_path / "old", previous, **urls)
    try:
        await asyncio.to_thread(upgrade, urls["DATABASE_URL"])
        async with old.client() as client:
            assert (await client.get("/health")).status_code == 200
            answer = await client.get("/ready")
            assert answer.status_code == 503
            assert answer.json()["checks"]["database"] != "ok"
    finally:
        await asyncio.to_thread(old.stop)


async def _ended(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get(path, params={"wait": 20})).json()
    assert answer["status"] == "success"
    return answer
