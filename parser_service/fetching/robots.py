"""What sites allow robots to fetch (RFC 9309), asked once in a while and remembered."""

import asyncio
from collections import OrderedDict
from time import monotonic
from typing import Protocol

import httpx
from protego import Protego

from parser_service.exceptions import FetchError, RobotsDisallowedError, TooManyRedirectsError
from parser_service.fetching.requester import Requester
from parser_service.fetching.response import body_decoder, is_redirect
from parser_service.fetching.url_guard import VettedUrl

MAX_SITES = 2000
"""Sites whose rules are remembered."""
KEEP_SECONDS = 3600.0
"""RFC 9309, 2.4: no longer than 24 hours."""
KEEP_UNREACHABLE_SECONDS = 60.0
FETCH_SECONDS = 10.0
MAX_ROBOTS = 500 * 1024
"""Bytes of robots.txt that are read (RFC 9309, 2.5)."""


class RobotsTxtSource(Protocol):
    """Where robots.txt comes from."""

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """The status and the beginning of the body of a robots.txt.

        Raises:
            FetchError: why there is none.
        """


class RobotsTxtFetcher:
    """Fetches robots.txt, redirects followed (RFC 9309, 2.3.1.2).

    Args:
        requester: sends the requests.
        max_redirects: how many redirects are followed.
        max_decoded: bytes that a piece of the body may decode to.
    """

    def __init__(self, requester: Requester, *, max_redirects: int, max_decoded: int) -> None:
        self._requester = requester
        self._max_redirects = max_redirects
        self._max_decoded = max_decoded

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """See `RobotsTxtSource`."""
        target = self._requester.admit(url)
        for _ in range(self._max_redirects + 1):
            response = await self._requester.send(target)
            try:
                if not is_redirect(response):
                    return response.status_code, await self._read_head(response)
                target = self._requester.redirect_target(response, target)
            finally:
                await response.aclose()
        raise TooManyRedirectsError

    async def _read_head(self, response: httpx.Response) -> bytes:
        if not 200 <= response.status_code < 300:
            return b""
        decoder = body_decoder(response)
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += decoder.feed(chunk, self._max_decoded - len(body))
            if len(body) >= MAX_ROBOTS:
                break
        return bytes(body[:MAX_ROBOTS])


class RobotsRules:
    """The rules of sites for one robot.

    Args:
        source: where robots.txt comes from.
        user_agent: what the robot calls itself; rules are looked up by its first word.
    """

    def __init__(self, source: RobotsTxtSource, *, user_agent: str) -> None:
        self._source = source
        self._robot = user_agent.partition("/")[0].partition(" ")[0] or "*"
        self._cache: OrderedDict[str, tuple[float, Protego | None]] = OrderedDict()
        self._in_flight: dict[str, asyncio.Future[Protego | None]] = {}

    async def require_allowed(self, target: VettedUrl) -> None:
        """Return if a URL may be fetched.

        Raises:
            RobotsDisallowedError: it may not, or the rules could not be had.
        """
        rules = await self._rules_of(target)
        if rules is None:
            raise RobotsDisallowedError("The site's robots.txt could not be had.", retryable=True)
        if not rules.can_fetch(target.url, self._robot):
            raise RobotsDisallowedError

    async def _rules_of(self, target: VettedUrl) -> Protego | None:
        origin = target.origin
        if (cached := self._cache.get(origin)) and monotonic() < cached[0]:
            self._cache.move_to_end(origin)
            return cached[1]
        if (fetching := self._in_flight.get(origin)) is not None:
            return await asyncio.shield(fetching)
        fetching = self._in_flight[origin] = asyncio.ensure_future(self._fetch_rules(origin))
        try:
            return await asyncio.shield(fetching)
        finally:
            if fetching.done():
                self._in_flight.pop(origin, None)
            else:
                fetching.add_done_callback(lambda _: self._in_flight.pop(origin, None))

    async def _fetch_rules(self, origin: str) -> Protego | None:
        """RFC 9309, 2.3.1: 4xx allows everything, 5xx and silence disallow everything."""
        rules: Protego | None = None
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                status, body = await self._source.fetch(f"{origin}/robots.txt")
        except (FetchError, TimeoutError):
            status, body = 599, b""
        if 200 <= status < 300:
            rules = Protego.parse(body.decode("utf-8", "replace"))
        elif 300 <= status < 500:
            rules = Protego.parse("")
        seconds = KEEP_SECONDS if rules is not None else KEEP_UNREACHABLE_SECONDS
        self._cache[origin] = (monotonic() + seconds, rules)
        self._cache.move_to_end(origin)
        while len(self._cache) > MAX_SITES:
            self._cache.popitem(last=False)
        return rules
