"""What every request gets, whatever answers it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import httpx
import pytest
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Scope
from structlog.testing import LogCapture

from api_service.edge import request_context
from api_service.edge.draining import Draining
from api_service.edge.request_context import MAX_BODY_BYTES, RequestMiddleware
from tests.support.app_client import AppClient


@pytest.fixture
async def client() -> AsyncIterator[AppClient]:
    app = FastAPI()
    app.add_middleware(RequestMiddleware, draining=Draining())

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.get("/pieces")
    async def pieces() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 1000

        return StreamingResponse(parts(), headers={"Content-Length": "3000"})

    @app.get("/kept")
    async def kept() -> Response:
        return Response("x", headers={"Cache-Control": "max-age=60"})

    @app.get("/broken")
    async def broken() -> None:
        raise LookupError("of a kind that nothing foresaw")

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"x"
            raise LookupError("after the answer has begun")

        return StreamingResponse(parts())

    async with AppClient(app) as opened:
        yield opened


@pytest.mark.parametrize(
    ("length", "status"), [(0, 200), (MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)]
)
async def test_a_body_is_read_up_to_the_limit(
    client: httpx.AsyncClient, length: int, status: int
) -> None:
    async def pieces() -> AsyncIterator[bytes]:  # no Content-Length tells how much comes
        for start in range(0, length, 1000):
            yield b"x" * min(1000, length - start)

    response = await client.post("/size", content=pieces())
    assert response.status_code == status
    if status == 200:
        assert response.json() == length


async def test_a_request_gets_a_trace_id_or_keeps_its_own(client: httpx.AsyncClient) -> None:
    made = [(await client.post("/size")).headers["x-request-id"] for _ in range(2)]
    assert len(set(made)) == 2
    kept = await client.post("/size", headers={"X-Request-ID": "mine"})
    assert kept.headers["x-request-id"] == "mine"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Provide the lines of the log, with what is bound to the context."""
    # An application that another test started may have fixed where the module's logger writes.
    monkeypatch.setattr(request_context, "log", structlog.get_logger())
    before = structlog.get_config()
    capture = LogCapture()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, capture],
        cache_logger_on_first_use=False,
    )
    yield cast("list[dict[str, Any]]", capture.entries)
    structlog.configure(**before)


async def _messages(app: FastAPI, path: str, method: str = "GET") -> list[Message]:
    """Return what the application sends to the server."""
    scope: Scope = {
        "type": "http", "method": method, "path": path, "query_string": b"",
        "headers": [(b"x-request-id", b"mine")], "http_version": "1.1", "scheme": "http",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "root_path": "",
    }  # fmt: skip
    sent = []

    requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not requests:
            await asyncio.Event().wait()  # the client stays connected
        return requests.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert scope["method"] == method, "the server goes by it"
    return sent


async def test_head_is_get_without_the_pieces_of_its_body(client: AppClient) -> None:
    start, *bodies = await _messages(client.app, "/pieces", "HEAD")
    assert (start["status"], dict(start["headers"])[b"content-length"]) == (200, b"3000")
    assert bodies == [{"type": "http.response.body"}]


async def test_no_cache_may_keep_an_answer_that_does_not_allow_it(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/pieces", "/nowhere", "/broken", "/size"):
        assert (await client.get(path)).headers.get_list("cache-control") == ["no-store"]
    assert (await client.get("/kept")).headers.get_list("cache-control") == ["max-age=60"]


async def test_an_unforeseen_error_is_a_problem_and_one_line_of_log(
    client: httpx.AsyncClient, lines: list[dict[str, Any]]
) -> None:
    response = await client.get("/broken", headers={"X-Request-ID": "mine"})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"] == "mine"
    assert response.json()["code"] == "internal_error"
    assert "LookupError" not in response.text
    assert [line["event"] for line in lines] == ["request failed", "request served"]
    assert (lines[0]["trace_id"], lines[0]["log_level"]) == ("mine", "error")
    assert lines[0]["exc_info"]
    assert lines[1]["status"] == 500


async def test_an_error_in_the_middle_of_an_answer_does_not_complete_it(
    client: AppClient, lines: list[dict[str, Any]]
) -> None:
    start, *bodies = await _messages(client.app, "/half")
    assert start["status"] == 200
    assert all(body["more_body"] for body in bodies), "the client must not take it for whole"
    assert [line["event"] for line in lines] == ["request failed", "request served"]
