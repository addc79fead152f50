"""A URL goes in over HTTP, and its title and HTML come out of PostgreSQL."""

import asyncio
import json
from collections import Counter

import httpx

from tests.support.site import Site
from tests.support.system import RunningSystem, results, submit
from tests.support.waiting import until


async def test_the_main_job(system: RunningSystem, site: Site) -> None:
    url = site.page("/", "<title>A page</title><p>text")
    async with system.client() as client:
        request_id = await submit(client, url)
        status = (await client.get(f"/status/{request_id}?wait=20")).json()
        assert status["status"] == "success"
        result = (await client.get(f"/result/{request_id}")).json()
    assert result["title"] == "A page"
    assert result["html"] == "<title>A page</title><p>text"
    assert (result["final_url"], result["http_status"]) == (url, 200)
    assert result["content_type"] == "text/html; charset=utf-8"
    assert result["fetched_at"]
    assert result["error"] is None


async def test_a_page_at_once(system: RunningSystem, site: Site) -> None:
    url = site.page("/", "<title>Now</title>")
    async with system.client() as client:
        answer = (await client.get("/parse_sync", params={"url": url})).json()
        assert (answer["url"], answer["title"], answer["html"]) == (
            url,
            "Now",
            "<title>Now</title>",
        )
        response = await client.get("/parse_sync", params={"url": site.url("/missing")})
    assert response.status_code == 502
    assert response.json()["code"] == "http_status"


async def test_a_page_that_cannot_be_had_ends_as_failure(system: RunningSystem, site: Site) -> None:
    async with system.client() as client:
        request_id = await submit(client, site.url("/missing"))
        result = (await client.get(f"/result/{request_id}?wait=20")).json()
    assert (result["status"], result["title"], result["html"]) == ("failure", None, None)
    assert result["error"]["code"] == "http_status"
    assert result["error"]["page_status"] == 404


async def test_many_jobs_at_once_all_end(system: RunningSystem, site: Site) -> None:
    urls = [site.page(f"/{n}", f"<title>{n}</title>") for n in range(200)]
    async with system.client() as client:
        ids = await asyncio.gather(*(submit(client, url) for url in urls))
        titles = {}
        async for result in results(client, ids):
            titles[result["request_id"]] = result["title"]
    assert titles == {request_id: str(n) for n, request_id in enumerate(ids)}
    assert Counter(head.split(" ")[1] for head in site.requests).most_common(1)[0][1] == 1


async def test_one_trace_id_ties_all_the_log_lines(system: RunningSystem, site: Site) -> None:
    url = site.page("/traced", "<title>A</title>").replace("http://", "http://")
    async with system.client() as client:
        headers = {"X-Request-ID": "trace-me"}
        response = await client.post(
            "/parse_async", json={"url": f"{url}?secret=1"}, headers=headers
        )
        await client.get(f"/status/{response.json()['request_id']}?wait=20")
    for service in ("api", "worker", "parser"):
        lines = [json.loads(line) for line in system.log(service).splitlines() if "{" in line[:1]]
        assert any(line.get("trace_id") == "trace-me" for line in lines), service
        assert "secret" not in system.log(service)


async def test_health_of_both_services(system: RunningSystem) -> None:
    async with system.client() as client:
        assert (await client.get("/health")).json() == {"status": "ok"}
        ready = (await client.get("/ready")).json()
        assert set(ready["checks"].values()) == {"ok"}
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{system.parser_url}/health")
    assert response.json() == {"status": "ok"}


async def test_a_client_that_goes_away_leaves_nothing_behind(
    system: RunningSystem, site: Site
) -> None:
    slow = site.raw("/slow", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", delay=1)

    def connections() -> int:
        parser = system.processes("uvicorn", "parser_service.main:app")[0]
        return sum(c.raddr.port == site.port for c in parser.net_connections() if c.raddr)

    for _ in range(5):
        host, port = system.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /parse_sync?url={slow} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
    await until(lambda: site.count("/slow") == 5)
    await until(lambda: connections() == 0, seconds=20)


async def test_facts_and_options_go_all_the_way(system: RunningSystem, site: Site) -> None:
    site.respond("/robots.txt", 200, b"User-agent: *\nDisallow: /no", {})
    html = '<html lang=en><meta name=description content="d"><h1>Heading</h1>'
    end = site.page("/end", html)
    start = site.respond("/start", 301, b"", {"Location": "/end"})
    async with system.client() as client:
        options = {"title_fallback": True, "respect_robots": True}
        body = {"url": start} | options
        request_id = (await client.post("/parse_async", json=body)).json()["request_id"]
        later = (await client.get(f"/result/{request_id}?wait=20")).json()
        params = {"url": start, "title_fallback": "true", "respect_robots": "true"}
        now = (await client.get("/parse_sync", params=params)).json()
        refused = await client.get("/parse_sync", params=params | {"url": site.page("/no", "x")})
    for answer in (later, now):
        assert (answer["title"], answer["title_source"]) == ("Heading", "h1")
        assert answer["metadata"]["description"] == "d"
        assert answer["metadata"]["language"] == "en"
        assert answer["redirects"] == [{"url": start, "status": 301}]
        assert (answer["final_url"], answer["charset"]) == (end, "utf-8")
        assert answer["bytes"] == len(html)
        assert answer["elapsed_ms"] >= 0
    assert (refused.status_code, refused.json()["code"]) == (502, "robots_disallowed")
