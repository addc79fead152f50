"""What every request gets, whatever answers it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from api_service.edge.draining import Draining
from api_service.edge.request_context import MAX_BODY, RequestContext
from tests.support.app_client import AppClient


@pytest.fixture
async def client() -> AsyncIterator[AppClient]:
    app = FastAPI()
    app.add_middleware(RequestContext, draining=Draining())

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    async with AppClient(app) as opened:
        yield opened


@pytest.mark.parametrize(("length", "status"), [(0, 200), (MAX_BODY, 200), (MAX_BODY + 1, 413)])
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
