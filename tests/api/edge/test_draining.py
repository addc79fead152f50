"""A stop that cuts no client off, with the real server: it fails if uvicorn changes its inside."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send

from api_service.edge import draining as module
from api_service.edge.draining import Draining
from api_service.edge.request_context import RequestMiddleware
from tests.support.waiting import until


@pytest.fixture
def caught() -> Iterator[list[int]]:
    """uvicorn raises the signal again when it has stopped: here it ends in a list."""
    signals: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    yield signals
    signal.signal(signal.SIGTERM, before)


async def _answer(receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def _live(draining: Draining, receive: Receive, send: Send) -> None:
    while True:
        message: Message = await receive()
        if message["type"] == "lifespan.startup":
            draining.begin_on_sigterm()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


@contextlib.asynccontextmanager
async def _serving(draining: Draining) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(draining, receive, send)
        else:
            await _answer(receive, send)

    config = uvicorn.Config(
        RequestMiddleware(app, draining=draining),
        host="127.0.0.1",
        port=0,
        lifespan="on",
        log_config=None,
        timeout_graceful_shutdown=4,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET / HTTP/1.1\r\nHost: api\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(2)
    return head.lower()


async def _refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def test_before_the_server_stops_clients_are_asked_to_close(caught: list[int]) -> None:
    draining = Draining()
    ended: list[str] = []
    draining.on_begin(lambda: ended.append("long polls"))
    async with _serving(draining) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert b"connection: close" not in await _get(reader, writer)
        assert not draining.has_begun
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: draining.has_begun)
        assert ended == ["long polls"]
        assert not server.should_exit, "the server learns of it later"
        assert b"connection: close" in await _get(reader, writer)
        assert await reader.read() == b"", "the kept connection is closed after its answer"
        writer.close()
        await until(lambda: server.should_exit, seconds=5)
    assert caught == [signal.SIGTERM]


async def test_no_new_connection_is_taken_once_draining_has_begun(
    caught: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_DELAY_SECONDS", 5.0)  # it is not the server that refuses
    draining = Draining()
    async with _serving(draining) as (server, port):
        assert not await _refuses(port)
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: draining.has_begun)
        refused: Callable[[], Awaitable[bool]] = lambda: _refuses(port)  # noqa: E731
        await until(refused, seconds=2)
        assert not server.should_exit


async def test_without_a_handler_of_sigterm_nothing_is_put_in_its_place() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        Draining().begin_on_sigterm()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
