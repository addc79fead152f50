"""Start the API alone, as `make run` does, and speak to it over raw sockets."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import psutil

from local.addresses import free_port
from local.system import API_COMMAND
from tests.support.waiting import until

START_SECONDS = 30
APP = "api_service.main:app"


@dataclass(frozen=True)
class ApiProcess:
    """Reach a running API."""

    port: int
    process: psutil.Process

    @contextlib.asynccontextmanager
    async def connection(
        self, *, receive_buffer: int | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect; a small receive buffer keeps the kernel from reading in the test's place."""
        connecting = socket.socket()
        connecting.setblocking(False)
        if receive_buffer is not None:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connecting, ("127.0.0.1", self.port))
        limit = receive_buffer or 2**16
        reader, writer = await asyncio.open_connection(sock=connecting, limit=limit)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False
        )

    def memory(self) -> int:
        """Return the bytes of memory that the process occupies."""
        return int(self.process.memory_info().rss)


@contextlib.asynccontextmanager
async def running_api(
    *, log: str = os.devnull, app: str = APP, **environment: str
) -> AsyncIterator[ApiProcess]:
    port = free_port()
    command = API_COMMAND.replace(APP, app)
    with open(log, "w") as output:  # noqa: ASYNC230, PTH123 - a device
        started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *command.split(), "--port", str(port)),
            env=os.environ | {"API_HOST": "127.0.0.1"} | environment,
            stdout=output,
        )
    api = ApiProcess(port, psutil.Process(started.pid))
    try:
        async with api.client() as client:

            async def answers() -> bool:
                assert started.returncode is None, "the API ended"
                try:
                    return (await client.get("/health")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(answers, seconds=START_SECONDS)
        yield api
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.wait()
