"""The HTTP contract."""

import json
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import httpx
import pytest
import redis.asyncio as aioredis

from api_service.assembly.worker import WorkerContext
from api_service.parser_client.messages import FailureReason, FailureResult, SuccessResult
from tests.support.keys import PARSERS, QUEUE, WORKERS
from tests.support.site import Site

URL = "https://example.com/"
PAGE = {
    "status": "success",
    "title": "A",
    "title_source": "title",
    "html": "<title>A</title>",
    "metadata": {
        "description": "A page",
        "canonical_url": URL,
        "language": "en",
        "site_name": "Example",
        "author": "A. Uthor",
        "authors": ["A. Uthor"],
        "published_time": "2026-01-02",
        "modified_time": None,
        "image": None,
        "video": "https://example.com/v.mp4",
        "favicon": "https://example.com/f.ico",
        "keywords": ["one"],
        "open_graph": {"image": ["https://example.com/i.png"]},
        "twitter_card": {"card": "summary"},
        "json_ld": [{"@type": "Article", "a": [1, None, {"b": 1.5}]}],
        "feeds": [{"url": URL, "type": "application/rss+xml", "title": None}],
        "robots": ["noindex"],
    },
    "final_url": "https://example.com/b",
    "redirects": [{"url": URL, "status": 301}],
    "http_status": 200,
    "content_type": "text/html",
    "charset": "utf-8",
    "bytes": 16,
    "elapsed_ms": 12,
    "fetched_at": "2026-01-02T03:04:05Z",
}


async def _submit(client: httpx.AsyncClient, url: str = URL) -> int:
    response = await client.post("/parse_async", json={"url": url})
    assert response.status_code == 202, response.text
    request_id: int = response.json()["request_id"]
    return request_id


async def test_an_accepted_request_says_where_to_ask(client: httpx.AsyncClient) -> None:
    response = await client.post("/parse_async", json={"url": "HTTPS://Example.com"})
    assert response.status_code == 202
    request_id = response.json()["request_id"]
    assert response.json() == {"request_id": request_id, "status": "pending"}
    assert response.headers["location"] == f"/status/{request_id}"
    assert int(response.headers["retry-after"]) >= 1


async def test_an_accepted_request_is_published_once_for_the_worker(
    client: httpx.AsyncClient, redis_url: str
) -> None:
    request_id = await _submit(client, "HTTPS://Example.com")
    async with aioredis.Redis.from_url(redis_url) as redis:
        messages = [json.loads(raw) for raw in await redis.lrange("api", 0, -1)]
    assert [m["headers"]["task"] for m in messages] == ["api.parse_url"]
    assert json.loads(messages[0]["headers"]["argsrepr"].replace("'", '"')) == [
        request_id,
        "https://example.com/",
    ]


async def test_the_life_of_a_request_that_succeeds(
    client: httpx.AsyncClient, end: Callable[..., Awaitable[None]]
) -> None:
    request_id = await _submit(client)
    status = (await client.get(f"/status/{request_id}")).json()
    assert status["status"] == "pending"
    assert status["created_at"] == status["updated_at"]
    result = (await client.get(f"/result/{request_id}")).json()
    assert (result["status"], result["title"], result["html"]) == ("pending", None, None)

    await end(request_id, SuccessResult.model_validate(PAGE))
    status = (await client.get(f"/status/{request_id}")).json()
    assert status["status"] == "success"
    assert status["created_at"] < status["updated_at"]
    assert (await client.get(f"/result/{request_id}")).json() == PAGE | {
        "request_id": request_id,
        "error": None,
    }


async def test_the_result_of_a_request_that_fails(
    client: httpx.AsyncClient, end: Callable[..., Awaitable[None]]
) -> None:
    request_id = await _submit(client)
    reason = FailureReason(code="http_status", message="It answered 404.", page_status=404)
    await end(request_id, FailureResult(status="failure", error="It answered 404.", reason=reason))
    result = (await client.get(f"/result/{request_id}")).json()
    assert (result["status"], result["title"], result["html"]) == ("failure", None, None)
    assert result["error"] == {
        "code": "http_status",
        "message": "It answered 404.",
        "retryable": False,
        "page_status": 404,
    }


@pytest.mark.parametrize("path", ["status", "result"])
@pytest.mark.parametrize(
    ("request_id", "status"),
    [
        ("123456789", 404),
        (str(2**63 - 1), 404),
        (str(2**63), 422),
        ("9" * 20_000, 422),
        ("0", 422),
        ("-1", 422),
        ("1.5", 422),
        ("abc", 422),
        ("%00", 422),
        ("1%00", 422),
        ("%ff", 422),
    ],
)
async def test_unknown_and_absurd_ids(
    client: httpx.AsyncClient, path: str, request_id: str, status: int
) -> None:
    _is_problem(await client.get(f"/{path}/{request_id}?wait=5"), status)


BAD_URLS = [
    "",
    " ",
    "example.com",
    "ftp://example.com/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://",
    "http://user:password@example.com/",
    "http://example.com:0/",
    "http://[::1",
    "http://exa mple.com/",
    "https://example.com/" + "a" * 2064,
    "http://example.com/" + "a" * 40_000,
]


@pytest.mark.parametrize("url", BAD_URLS)
async def test_a_bad_url_is_refused_briefly_and_nothing_is_enqueued(
    client: httpx.AsyncClient, redis_url: str, url: str
) -> None:
    _is_problem(await client.post("/parse_async", json={"url": url}), 422)
    _is_problem(await client.get("/parse_sync", params={"url": url}), 422)
    async with aioredis.Redis.from_url(redis_url) as redis:
        assert await redis.llen("api") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b"not json",
        b'{"url": null}',
        b'{"url": 1}',
        b'{"url": ["http://example.com/"]}',
        b'{"url": {"a": 1}}',
        b'{"url": NaN}',
        b'{"url": 1e999}',
        b'{"url": "http://example.com/\\ud800"}',
        b'{"url": "http://example.com/\xff"}',
        b'{"url": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b"\xff\xfe",
    ],
)
async def test_a_bad_body_is_refused_briefly(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = await client.post("/parse_async", content=body, headers=headers)
    assert response.status_code in (400, 422)
    _is_problem(response, response.status_code)


async def test_a_body_of_another_type_is_refused(client: httpx.AsyncClient) -> None:
    _is_problem(await client.post("/parse_async", data={"url": URL}), 422)
    _is_problem(await client.post("/parse_async"), 422)


@pytest.mark.parametrize(
    ("content", "headers", "words"),
    [
        (b"{url: }", {"Content-Type": "application/json"}, "not JSON"),
        (b'{"url": "https://a.example/"}', {}, "Content-Type: application/json"),
    ],
)
async def test_a_body_that_is_no_json_gets_a_sentence_that_helps(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str], words: str
) -> None:
    response = await client.post("/parse_async", content=content, headers=headers)
    _is_problem(response, 422)
    assert words in response.json()["detail"]


async def test_a_huge_body_is_refused(client: httpx.AsyncClient) -> None:
    body = b'{"url": "' + b"a" * 1_000_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    response = await client.post("/parse_async", content=body, headers=headers)
    _is_problem(response, 413)
    assert response.json()["code"] == "body_too_large"


async def test_the_longest_url_is_accepted(client: httpx.AsyncClient) -> None:
    await _submit(client, "https://example.com/" + "a" * 2063)
    await _submit(client, "https://example.com/" + "\u00e9" * 1000)


async def test_other_routes_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    for method, path, status, code in (
        ("GET", "/nowhere", 404, "no_such_path"),
        ("HEAD", "/nowhere", 404, ""),
        ("GET", "/status/1", 404, "not_found"),
        ("GET", "/parse_async", 405, "method_not_allowed"),
        ("DELETE", "/metrics", 405, "method_not_allowed"),
    ):
        response = await client.request(method, path)
        if method == "HEAD":
            assert (response.status_code, response.content) == (status, b"")
            continue
        _is_problem(response, status)
        assert response.json()["code"] == code
    assert (await client.get("/parse_async")).headers["allow"] == "POST"
    assert (await client.post("/health")).headers["allow"] == "GET, HEAD"


async def test_no_cache_keeps_an_answer(client: httpx.AsyncClient) -> None:
    request_id = await _submit(client)
    for path in (f"/status/{request_id}", f"/result/{request_id}", "/status/99", "/nowhere"):
        response = await client.get(path)
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-request-id"]


def _is_problem(response: httpx.Response, status: int) -> None:
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["code"]
    assert len(response.content) < 1000


async def test_a_page_is_had_at_once(client: httpx.AsyncClient, site: Site) -> None:
    answer = {name: value for name, value in PAGE.items() if name != "status"} | {"url": URL}
    site.respond(f"/fetch?url={quote(URL, safe='')}", 200, json.dumps(answer).encode(), {})
    response = await client.get("/parse_sync", params={"url": URL})
    assert response.status_code == 200
    assert response.json() == answer


async def test_what_our_own_parser_answers_is_passed_on_unread(
    client: httpx.AsyncClient, site: Site
) -> None:
    headers = {"Content-Type": "application/vnd.page-parser.answer+json"}
    site.respond(f"/fetch?url={quote(URL, safe='')}", 200, b'{"as": "it is"}', headers)
    response = await client.get("/parse_sync", params={"url": URL})
    assert response.content == b'{"as": "it is"}'
    assert response.headers["content-type"] == "application/json"


async def test_a_page_that_cannot_be_had_is_a_502_with_the_reason(
    client: httpx.AsyncClient, site: Site
) -> None:
    problem = {
        "title": "Bad Gateway",
        "status": 502,
        "detail": "The site answered with HTTP status 503.",
        "code": "http_status",
        "retryable": True,
        "page_status": 503,
    }
    site.respond(f"/fetch?url={quote(URL, safe='')}", 502, json.dumps(problem).encode(), {})
    response = await client.get("/parse_sync", params={"url": URL})
    _is_problem(response, 502)
    assert response.json() == problem | {"type": "about:blank"}


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", b"HTTP/"])
async def test_a_parser_that_is_away_is_a_503(
    client: httpx.AsyncClient, site: Site, answer: bytes
) -> None:
    site.raw(f"/fetch?url={quote(URL, safe='')}", answer)
    response = await client.get("/parse_sync", params={"url": URL})
    _is_problem(response, 503)
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [({"Retry-After": "7"}, 7), ({}, 5), ({"Retry-After": "0"}, 1), ({"Retry-After": "9999"}, 60)]
    + [({"Retry-After": text}, 5) for text in ("soon", "-1", "1e9", "1" * 5000)],
)
async def test_a_parser_that_is_busy_is_a_503_of_our_own(
    client: httpx.AsyncClient, site: Site, sent: dict[str, str], seconds: int
) -> None:
    site.respond(f"/fetch?url={quote(URL, safe='')}", 503, b"whatever", sent)
    response = await client.get("/parse_sync", params={"url": URL})
    _is_problem(response, 503)
    assert response.json()["code"] == "parser_busy"
    assert response.headers["retry-after"] == str(seconds)


async def test_the_trace_id_of_the_client_goes_all_the_way(
    client: httpx.AsyncClient, jobs: WorkerContext, redis_url: str
) -> None:
    response = await client.post(
        "/parse_async", json={"url": URL}, headers={"X-Request-ID": "my-trace"}
    )
    assert response.headers["x-request-id"] == "my-trace"
    await jobs.handover.hand_over_pending([response.json()["request_id"]])
    async with aioredis.Redis.from_url(redis_url) as redis:
        celery_message = json.loads((await redis.lrange("api", 0, 0))[0])
        job = json.loads((await redis.lrange(QUEUE, 0, 0))[0])
    assert celery_message["headers"]["trace_id"] == "my-trace"
    assert job["trace"] == "my-trace"


@pytest.mark.parametrize("trace_id", ["a" * 65, "with space", '"', "\x7f"])
async def test_a_trace_id_that_could_spoil_a_log_is_replaced(
    client: httpx.AsyncClient, trace_id: str
) -> None:
    response = await client.get("/health", headers={"X-Request-ID": trace_id})
    assert response.headers["x-request-id"] not in ("", trace_id)


async def test_ready_names_what_is_missing(client: httpx.AsyncClient, redis_url: str) -> None:
    response = await client.get("/ready")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not ready",
        "checks": {
            "database": "ok",
            "redis": "ok",
            "parser": "none seen in the last 10 s",
            "worker": "none seen in the last 10 s",
        },
    }
    async with aioredis.Redis.from_url(redis_url) as redis:
        now = (await redis.time())[0]
        await redis.zadd(PARSERS, {"a": now})
        await redis.zadd(WORKERS, {"b": now - 60})
    assert (await client.get("/ready")).json()["checks"]["parser"] == "ok"
    assert (await client.get("/ready")).status_code == 503
    async with aioredis.Redis.from_url(redis_url) as redis:
        await redis.zadd(WORKERS, {"b": now})
    assert (await client.get("/ready")).status_code == 200


async def test_health_looks_at_nothing_else(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).json() == {"status": "ok"}


async def test_every_error_is_declared(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    declared = {
        f"{method.upper()} {path}": set(operation["responses"])
        for path, methods in paths.items()
        for method, operation in methods.items()
    }
    refused = {"401", "403", "429"}
    assert (
        declared.items()
        >= {
            "POST /parse_async": {"202", "400", "408", "409", "413", "415", "422", "500", "503"}
            | refused,
            "GET /status/{request_id}": {"200", "404", "422", "500", "503"} | refused,
            "GET /result/{request_id}": {"200", "404", "422", "500", "503"} | refused,
            "GET /parse_sync": {"200", "422", "500", "502", "503"} | refused,
            "GET /health": {"200", "500"},
            "GET /ready": {"200", "500", "503"},
        }.items()
    )


async def test_every_field_is_described(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    bare = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, facts in schema.get("properties", {}).items()
        if not facts.get("description") and name not in ("HTTPValidationError", "ValidationError")
    ]
    assert bare == ["Health.status"]
