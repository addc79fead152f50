"""Each service exposes metrics of its work, both halves of a pair as one."""

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.support.metrics import Series, scraped
from tests.support.site import Site
from tests.support.system import RunningSystem, results, running, submit
from tests.support.waiting import until


class Watched:
    """Read the metrics of a system whose worker and beat also expose theirs."""

    def __init__(self, system: RunningSystem, port: int) -> None:
        self.system = system
        self._port = port

    async def api(self) -> Series:
        return await scraped(f"{self.system.url}/metrics")

    async def parser(self) -> Series:
        return await scraped(f"{self.system.parser_url}/metrics")

    async def worker(self) -> Series:
        return await scraped(f"http://127.0.0.1:{self._port}/metrics")

    async def beat(self) -> Series:
        return await scraped(f"http://127.0.0.1:{self._port + 1}/metrics")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    port = _two_free_ports()
    folder = tmp_path_factory.mktemp("watched")
    with running(folder, METRICS_PORT=str(port), MAX_ATTEMPTS="2", RETRY_DELAY="0.2") as system:
        yield Watched(system, port)


def _two_free_ports() -> int:
    """Return the first of two neighbours, below the range of ephemeral ports."""
    for port in random.sample(range(20_000, 30_000, 2), 1000):
        with contextlib.suppress(OSError):
            for neighbour in (port, port + 1):
                socket.create_server(("127.0.0.1", neighbour)).close()
            return port
    raise AssertionError("no two free ports")


def _grown(before: Series, after: Series, *names: str) -> Series:
    """Return the counters that have grown, without their common prefix."""
    return {
        key.removeprefix("page_parser_"): after[key] - before.get(key, 0)
        for key in after
        if key.startswith(tuple(f"page_parser_{name}" for name in names))
        and after[key] != before.get(key, 0)
    }


async def test_counters_move_by_exactly_as_many(watched: Watched, site: Site) -> None:
    good = [site.page(f"/{n}", f"<title>{n}</title>") for n in range(5)]
    failing = site.respond("/busy", 503, b"", {})
    parser, worker, api = await watched.parser(), await watched.worker(), await watched.api()
    async with watched.system.client() as client:
        urls = [*good, failing, site.url("/missing")]
        ids = await asyncio.gather(*(submit(client, url) for url in urls))
        async for result in results(client, ids):
            assert result["status"] in ("success", "failure")
        for url in (good[0], site.url("/missing")):  # by the parser's HTTP half
            await client.get("/parse_sync", params={"url": url})

    async def of_worker() -> Series:
        names = ("requests_", "attempts_", "accepted_to_ended_seconds_count")
        return _grown(worker, await watched.worker(), *names)

    # The numbers are counted after the commit, which the client may see first.
    await until(lambda: _is(of_worker, "requests_ended_total{status=failure}", 2), seconds=60)
    assert await of_worker() == {
        "requests_ended_total{status=success}": 5,
        "requests_ended_total{status=failure}": 2,
        "requests_failed_total{code=http_status}": 2,
        "attempts_failed_total{next=retry}": 1,
        "attempts_failed_total{next=none}": 2,
        "accepted_to_ended_seconds_count": 7,
    }
    # Celery counts hand-overs, the results process counts results: one scrape has both.
    counted = _grown(worker, await watched.worker(), "jobs_pushed", "results_total", "swept")
    assert counted["jobs_pushed_total"] == counted["results_total"] == 8
    assert counted["swept_total{action=due}"] == 1
    assert _grown(parser, await watched.parser(), "pages_total", "jobs_taken", "page_bytes") == {
        "pages_total{outcome=success}": 6,
        "pages_total{outcome=http_status}": 4,
        "page_bytes_total": 6 * len("<title>0</title>"),
        "jobs_taken_total": 8,
    }
    posts = "http_requests_total{method=POST"
    assert _grown(api, await watched.api(), posts) == {
        f"{posts},route=/parse_async,status=202}}": 7
    }


async def _is(read: object, key: str, value: float) -> bool:
    assert callable(read)
    found: Series = await read()
    return found.get(key) == value


async def test_beat_and_the_sweep_are_seen_to_go_on(watched: Watched) -> None:
    beat, worker = await watched.beat(), await watched.worker()
    published = "page_parser_beat_published_total{task=api.sweep}"
    last = "page_parser_beat_last_published_timestamp_seconds"
    swept, ended = "page_parser_sweep_duration_seconds_count", "page_parser_sweep_last_timestamp"

    async def went_on() -> bool:
        now, done = await watched.beat(), await watched.worker()
        return (
            now.get(published, 0) > beat.get(published, 0)
            and now[last] > beat[last]
            and done[swept] > worker[swept]
            and done[f"{ended}_seconds"] > worker[f"{ended}_seconds"]
        )

    await until(went_on, seconds=60)


async def test_the_api_sees_parsers_and_workers(watched: Watched) -> None:
    async def seen() -> bool:
        shown = await watched.api()
        return (
            shown["page_parser_processes_seen{kind=parser}"] == 1
            and shown["page_parser_processes_seen{kind=worker}"] == 1
            and shown["page_parser_up{part=database}"] == 1
        )

    await until(seen, seconds=60)


async def test_nobody_shows_what_is_anothers(watched: Watched) -> None:
    of_worker, of_parser = await watched.worker(), await watched.parser()
    foreign = re.compile("_(http_request|beat|tasks|pages)_|pid=")
    assert not [key for key in of_worker if foreign.search(key)]
    assert not of_worker.keys() & of_parser.keys()


async def test_a_pair_that_was_killed_begins_anew(watched: Watched, site: Site) -> None:
    async with watched.system.client() as client:
        await client.get("/parse_sync", params={"url": site.page("/", "<title>A</title>")})
    counted = "page_parser_pages_total{outcome=success}"
    assert (await watched.parser())[counted] > 0
    (listener,) = watched.system.processes("parser_service.redis_listener")
    folder = watched.system.folder / "metrics" / "parser"
    listener.kill()

    async def counts_from_zero() -> bool:
        try:
            return (await watched.parser())[counted] == 0
        except httpx.TransportError:
            return False

    await until(counts_from_zero, seconds=60)
    assert not list(folder.glob(f"*_{listener.pid}.db"))
