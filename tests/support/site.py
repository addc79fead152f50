"""Serve a web site on loopback, with the answers that a test sets, to the byte if needed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

HTML = {"Content-Type": "text/html; charset=utf-8"}
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """Answer by path, and record all requests.

    Attributes:
        requests: the heads of all requests, as received.
    """

    port: int = 0
    requests: list[str] = field(default_factory=list)
    _answers: dict[str, Answer] = field(default_factory=dict)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def page(self, path: str, html: str | bytes, **headers: str) -> str:
        """Serve a page, and return its URL."""
        body = html.encode() if isinstance(html, str) else html
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.respond(path, 200, body, HTML | named)

    def respond(self, path: str, status: int, body: bytes, headers: dict[str, str]) -> str:
        """Serve a whole response, and return its URL."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return self.raw(path, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def raw(self, path: str, response: bytes, *, delay: float = 0) -> str:
        """Serve these exact bytes, then close; return the URL."""

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(delay)
            writer.write(response)

        return self.answer(path, answer)

    def answer(self, path: str, answer: Answer) -> str:
        """Let a coroutine function answer, and return the URL."""
        self._answers[path] = answer
        return self.url(path)

    def count(self, path: str) -> int:
        """Return the number of requests for a path."""
        return sum(head.split(" ")[1] == path for head in self.requests)

    async def end(self) -> None:
        """Cancel the answers that hang on purpose."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # at the end of the test
        finally:
            self._serving.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.requests.append(head)
            answer = self._answers.get(head.split(" ")[1])
            if answer is None:
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            else:
                await answer(reader, writer)
            await writer.drain()


@contextlib.asynccontextmanager
async def open_site() -> AsyncIterator[Site]:
    site = Site()
    # 127.0.0.2 is also loopback, and for the parser it is another host.
    servers = [await asyncio.start_server(site.serve, "127.0.0.1", 0)]
    site.port = servers[0].sockets[0].getsockname()[1]
    servers.append(await asyncio.start_server(site.serve, "127.0.0.2", site.port))
    yield site
    for server in servers:
        server.close()
    await site.end()
    for server in servers:
        await server.wait_closed()
