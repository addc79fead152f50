"""A URL goes in over HTTP, and title and HTML come out of PostgreSQL."""

import asyncio
import json
from collections import Counter

import httpx

from tests.support.site import Site
from tests.support.system import RunningSystem, results, submit


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
