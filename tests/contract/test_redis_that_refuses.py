"""A starting process waits for a Redis that refuses every command for a while, and for no other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio as aioredis

from api_service.process import redis_connection as api_connection
from parser_service.redis_queue import connection as parser_connection

WhyRefused = Callable[[aioredis.Redis], Awaitable[str | None]]


@contextlib.asynccontextmanager
async def _redis_that_answers(answer: str) -> AsyncIterator[aioredis.Redis]:
    """Open a client of a server that gives one answer to every command."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while commands := await reader.read(1000):
            writer.write(f"{answer}\r\n".encode() * commands.count(b"*"))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aioredis.Redis(port=port) as client:
        yield client


@pytest.mark.parametrize(
    "ping_for_refusal_reason",
    [api_connection.ping_for_refusal_reason, parser_connection.ping_for_refusal_reason],
)
@pytest.mark.parametrize(
    ("answer", "is_refused"),
    [
        ("+PONG", False),
        ("-MISCONF Errors writing to the AOF file: No space left on device", False),
        ("-BUSY Redis is busy running a script.", False),
        ("-MASTERDOWN Link with MASTER is down.", False),
        ("-LOADING Redis is loading the dataset in memory", False),
        ("-NOPERM this user has no permissions to run the 'ping' command", False),
        ("-NOAUTH Authentication required.", True),
        ("-DENIED Redis is running in protected mode", True),
        ("-ERR DB index is out of range", True),
    ],
)
async def test_what_passes_by_itself_is_no_refusal(
    ping_for_refusal_reason: WhyRefused, answer: str, is_refused: bool
) -> None:
    async with _redis_that_answers(answer) as client:
        assert bool(await ping_for_refusal_reason(client)) == is_refused
