"""Long polls: `?wait=` on status and result."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from api_service.endings.wakeups import EndingListener
from api_service.parser_client.messages import SuccessResult
from tests.support.system import submit
from tests.support.waiting import until

URL = "https://example.com/"
PAGE = SuccessResult(status="success", title="A", html="<title>A</title>")


@pytest.mark.parametrize("path", ["status", "result"])
async def test_a_wait_ends_with_the_request(
    client: httpx.AsyncClient, end: Callable[..., Awaitable[None]], path: str
) -> None:
    request_id = await submit(client, URL)
    waiting = asyncio.create_task(client.get(f"/{path}/{request_id}?wait=20"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await end(request_id, PAGE)
    async with asyncio.timeout(0.9):  # less than the second after which it would look by itself
        assert (await waiting).json()["status"] == "success"


async def test_a_wait_is_over_in_time(client: httpx.AsyncClient) -> None:
    request_id = await submit(client, URL)
    async with asyncio.timeout(2):
        response = await client.get(f"/status/{request_id}?wait=0.3")
    assert response.json()["status"] == "pending"


@pytest.mark.parametrize("wait", ["-1", "31", "x", "nan", "inf", "1e999", ""])
async def test_an_absurd_wait_is_refused(client: httpx.AsyncClient, wait: str) -> None:
    request_id = await submit(client, URL)
    assert (await client.get(f"/status/{request_id}", params={"wait": wait})).status_code == 422


async def test_a_wait_ends_when_the_process_stops(client: httpx.AsyncClient) -> None:
    request_id = await submit(client, URL)
    waiting = asyncio.create_task(client.get(f"/status/{request_id}?wait=20"))
    await asyncio.sleep(0.1)
    app = client._transport.app  # type: ignore[attr-defined]
    app.state.collaborators.get(EndingListener).end_waits()
    async with asyncio.timeout(0.5):
        assert (await waiting).json()["status"] == "pending"


async def test_many_waits_hold_no_database_connection(
    client: httpx.AsyncClient, end: Callable[..., Awaitable[None]]
) -> None:
    request_id = await submit(client, URL)
    waits = [asyncio.create_task(client.get(f"/status/{request_id}?wait=20")) for _ in range(50)]
    await asyncio.sleep(0.3)
    async with asyncio.timeout(1):
        assert (await client.get(f"/status/{request_id}")).status_code == 200
    await end(request_id, PAGE)
    for response in await asyncio.gather(*waits):
        assert response.json()["status"] == "success"


async def test_a_client_that_goes_away_leaves_no_waiter(client: httpx.AsyncClient) -> None:
    request_id = await submit(client, URL)
    waiting = asyncio.create_task(client.get(f"/status/{request_id}?wait=20"))
    await asyncio.sleep(0.1)
    waiting.cancel()
    app = client._transport.app  # type: ignore[attr-defined]
    await until(lambda: not app.state.collaborators.get(EndingListener)._waiters)
