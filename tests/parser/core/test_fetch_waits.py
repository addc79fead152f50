"""`GET /fetch` answers in time, whatever one host does and however many clients ask."""

import asyncio
from collections import Counter
from time import perf_counter

import httpx
import pytest

from tests.support.app_client import AppClient, OpenApp
from tests.support.site import Site
from tests.support.waiting import until

OTHER = "127.0.0.2"


async def _fetch(client: AppClient, url: str) -> tuple[httpx.Response, float]:
    started = perf_counter()
    return await client.get("/fetch", params={"url": url}), perf_counter() - started


@pytest.mark.parametrize("most", [0, 8, 256])
async def test_more_calls_than_can_be_served_are_told_so_within_five_seconds(
    open_parser: OpenApp, site: Site, most: int
) -> None:
    page = b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>"
    url = site.raw("/", page, delay=2)
    changes = {"fetch_timeout": 30, "fetch_concurrency": 16, "host_max_concurrent": most}
    async with open_parser(**changes, fetch_connect_timeout=10) as one:
        answers = await asyncio.gather(*(_fetch(one, url) for _ in range(300)))
    statuses = Counter(answer.status_code for answer, _ in answers)
    assert set(statuses) == {200, 503}
    assert statuses[200] >= 8, "those that can be served are"
    for answer, seconds in answers:
        if answer.status_code == 503:
            assert seconds < 5
            assert int(answer.headers["retry-after"]) >= 1
            assert (answer.json()["code"], answer.json()["retryable"]) == ("busy", True)


@pytest.mark.parametrize("most", [0, 8, 256])
@pytest.mark.parametrize("is_redirected", [False, True])
async def test_a_host_that_hangs_holds_its_share_of_places_only(
    open_parser: OpenApp, site: Site, most: int, *, is_redirected: bool
) -> None:
    hanging = site.raw("/hang", b"", delay=30).replace("127.0.0.1", OTHER)
    start = site.respond("/start", 302, b"", {"Location": hanging}) if is_redirected else hanging
    good = site.page("/good", "<title>A</title>")
    changes = {"fetch_timeout": 30, "fetch_concurrency": 8, "host_max_concurrent": most}
    async with open_parser(**changes, fetch_queue_timeout=20) as client:
        hung = [asyncio.create_task(_fetch(client, start)) for _ in range(100)]
        await until(lambda: site.count("/hang") == 4)
        await asyncio.sleep(0.5)
        for _ in range(20):
            answer, seconds = await _fetch(client, good)
            assert (answer.status_code, answer.json()["title"]) == (200, "A")
            assert seconds < 2
        assert site.count("/hang") == 4, "half of the places"
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
        answer, _ = await _fetch(client, good)
        assert answer.status_code == 200, "the places came back"


async def test_a_page_that_waits_for_a_second_host_leaves_the_first_to_others(
    open_parser: OpenApp, site: Site
) -> None:
    hanging = site.raw("/hang", b"", delay=30).replace("127.0.0.1", OTHER)
    start = site.respond("/start", 302, b"", {"Location": hanging})
    good = site.page("/good", "<title>A</title>")
    async with open_parser(
        fetch_timeout=30, fetch_concurrency=2, host_max_concurrent=1, fetch_queue_timeout=1.5
    ) as client:
        calls = [asyncio.create_task(_fetch(client, start)) for _ in range(3)]
        await until(lambda: site.count("/hang") == 1)
        answer, seconds = await _fetch(client, good)
        assert answer.status_code == 200
        assert seconds < 1
        done, waiting = await asyncio.wait(calls, timeout=3)
        assert [task.result()[0].status_code for task in done] == [503, 503]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_two_hosts_that_redirect_to_each_other_do_not_block_each_other(
    open_parser: OpenApp, site: Site
) -> None:
    here = site.page("/end", "<title>A</title>")
    there = here.replace("127.0.0.1", OTHER)
    first = site.respond("/first", 302, b"", {"Location": there})
    second = site.respond("/second", 302, b"", {"Location": here}).replace("127.0.0.1", OTHER)
    changes = {"fetch_concurrency": 2, "host_max_concurrent": 1, "fetch_queue_timeout": 20}
    async with open_parser(**changes, fetch_timeout=30) as client:
        answers = await asyncio.gather(*(_fetch(client, url) for url in (first, second) * 10))
    assert {answer.status_code for answer, _ in answers} == {200}


async def test_with_one_place_every_host_gets_it(open_parser: OpenApp, site: Site) -> None:
    url = site.page("/", "<title>A</title>")
    async with open_parser(fetch_concurrency=1) as client:
        answers = await asyncio.gather(
            *(_fetch(client, url.replace("127.0.0.1", host)) for host in (OTHER, "127.0.0.1") * 5)
        )
    assert {answer.status_code for answer, _ in answers} == {200}


async def test_a_redis_that_hangs_delays_pages_and_refuses_none(
    open_parser: OpenApp, site: Site
) -> None:
    open_now = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        try:
            await reader.read()
        finally:
            open_now -= 1
            writer.close()

    url = site.page("/", "<title>A</title>")
    polite = {"host_min_interval": 0.1, "fetch_timeout": 30}
    async with await asyncio.start_server(hang, "127.0.0.1", 0) as redis:
        port = redis.sockets[0].getsockname()[1]
        away = f"redis://127.0.0.1:{port}/0"
        async with open_parser(redis_url=away, **polite) as client:
            answer, seconds = await _fetch(client, url)
            assert open_now == 1
        await until(lambda: open_now == 0, seconds=2)
        await asyncio.sleep(0.2)
        assert open_now == 0, "a parser that has stopped connects to Redis no more"
    assert (answer.status_code, answer.json()["title"]) == (200, "A")
    assert seconds < 5
