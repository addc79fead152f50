"""HTTP of the parser service."""

import ada_url
import httpx
import pytest

from tests.support.site import Site


async def test_fetch_answers_with_the_page(client: httpx.AsyncClient, site: Site) -> None:
    url = site.page("/", "<title>A</title>")
    response = await client.get("/fetch", params={"url": url})
    assert response.status_code == 200
    answer = response.json()
    assert (answer["url"], answer["title"], answer["html"]) == (url, "A", "<title>A</title>")


async def test_fetch_says_that_its_answer_is_whole_only_if_it_is_asked_to(
    client: httpx.AsyncClient, site: Site
) -> None:
    url = site.page("/", "<title>A</title>")
    ours = "application/vnd.page-parser.answer+json"
    for accepted, answered in {"*/*": "application/json", f"{ours}, */*": ours}.items():
        response = await client.get("/fetch", params={"url": url}, headers={"Accept": accepted})
        assert response.headers["content-type"] == answered


async def test_fetch_parses_its_url_once(
    client: httpx.AsyncClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []

    class CountedUrl(ada_url.URL):
        def __init__(self, url: str, base: str | None = None) -> None:
            parsed.append(url)
            super().__init__(url, base=base)

    monkeypatch.setattr(ada_url, "URL", CountedUrl)
    url = site.page("/", "<title>A</title>")
    response = await client.get("/fetch", params={"url": f"{url}#part"})
    assert response.json()["url"] == url
    assert parsed == [f"{url}#part"]


async def test_fetch_says_why_a_page_cannot_be_had(client: httpx.AsyncClient, site: Site) -> None:
    response = await client.get("/fetch", params={"url": site.url("/missing")})
    assert response.status_code == 502
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Bad Gateway",
        "status": 502,
        "detail": "The site answered with HTTP status 404.",
        "code": "http_status",
        "retryable": False,
        "page_status": 404,
    }


async def test_a_redirect_to_no_page_is_the_pages_fault(
    client: httpx.AsyncClient, site: Site
) -> None:
    url = site.respond("/", 302, b"", {"Location": "ftp://example.com/"})
    response = await client.get("/fetch", params={"url": url})
    assert (response.status_code, response.json()["code"]) == (502, "invalid_url")


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://example.com/", "http://a:b@c/", "\x00", "x" * 9000]
)
async def test_a_bad_url_is_refused_briefly(client: httpx.AsyncClient, url: str) -> None:
    response = await client.get("/fetch", params={"url": url})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) < 1000


async def test_no_url_and_no_route_are_problems_too(client: httpx.AsyncClient) -> None:
    assert (await client.get("/fetch")).json()["code"] == "invalid_request"
    assert (await client.get("/nowhere")).json()["code"] == "not_found"
    assert (await client.post("/fetch")).json()["code"] == "method_not_allowed"


async def test_health(client: httpx.AsyncClient) -> None:
    response = await client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
