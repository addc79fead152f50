"""Keep requesting pages as clients do, and record every answer."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from secrets import token_hex
from time import monotonic

import httpx

from tests.support.site import Site

PAGES = 50


@dataclass
class Load:
    """Hold what clients received.

    Attributes:
        ids: the requests that were answered with 202.
        answers: number of answers by status and, if there is one, error code.
        broken: number of connections without an answer, by class of error.
        slowest: seconds of the longest wait for an answer.
        by_key: the request ids received for each idempotency key.
    """

    url: str
    urls: list[str]
    ids: set[int] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    by_key: dict[str, set[int]] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def undeclared(self) -> Counter[str]:
        """Return the answers that no client should ever get."""
        fine = (
            *("202", "200", "503 database_unavailable", "503 queue_full"),
            "409 idempotency_in_progress",
        )
        return Counter({name: n for name, n in self.answers.items() if name not in fine})

    async def post(self, client: httpx.AsyncClient, *, key: str | None = None) -> httpx.Response:
        """Post one request; a key always asks for the same page."""
        number = int(key, 16) if key else next(self._numbers)
        url = self.urls[number % len(self.urls)]
        headers = {"Idempotency-Key": key} if key else {}
        started = monotonic()
        response = await client.post("/parse_async", json={"url": url}, headers=headers)
        self.note(response, monotonic() - started)
        if key and response.status_code == 202:
            self.by_key.setdefault(key, set()).add(response.json()["request_id"])
        return response

    def note(self, response: httpx.Response, seconds: float) -> None:
        self.slowest = max(self.slowest, seconds)
        self.answers[_name(response)] += 1
        if response.status_code == 202:
            self.ids.add(response.json()["request_id"])

    async def submit(self, number: int) -> list[int]:
        """Post `number` requests at once, all of which must be accepted; return their ids."""
        async with self._client() as client:
            responses = await asyncio.gather(*(self.post(client) for _ in range(number)))
        assert {response.status_code for response in responses} == {202}
        return [response.json()["request_id"] for response in responses]

    @contextlib.asynccontextmanager
    async def steady(
        self, *, clients: int = 4, pause: float = 0.05, keyed: bool = False
    ) -> AsyncIterator[None]:
        """Run clients that keep posting until the block ends; record broken connections.

        With `keyed` a client repeats a request with the same idempotency key until it gets an id.
        """
        stopping = asyncio.Event()

        async def ask() -> None:
            key = token_hex(8) if keyed else None
            async with self._client() as client:
                while not stopping.is_set():
                    try:
                        response = await self.post(client, key=key)
                        if response.status_code == 202:
                            key = token_hex(8) if keyed else None
                            path = response.headers["location"]
                            started = monotonic()
                            self.note(await client.get(path), monotonic() - started)
                    except httpx.TransportError as error:
                        self.broken[type(error).__name__] += 1
                    await asyncio.sleep(pause)

        asking = [asyncio.create_task(ask()) for _ in range(clients)]
        try:
            yield
        finally:
            stopping.set()
            await asyncio.gather(*asking)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False)


def load_on(url: str, site: Site) -> Load:
    """Return a load of small pages of this site, under two hosts."""
    urls = []
    for number in range(PAGES):
        site.page(f"/page/{number}", f"<title>Page {number}</title>")
        urls.append(site.url(f"/page/{number}", host=f"127.0.0.{number % 2 + 1}"))
    return Load(url, urls)


def _name(response: httpx.Response) -> str:
    if response.status_code < 400:
        return str(response.status_code)
    try:
        return f"{response.status_code} {response.json()['code']}"
    except (ValueError, KeyError):
        return f"{response.status_code} {response.text[:40]}"
