"""Obey sites' robots.txt (RFC 9309): fetch it, parse it, and cache it for a while."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import httpx
from protego import Protego

from parser_service.exceptions import FetchError, RobotsDisallowedError, TooManyRedirectsError
from parser_service.fetching.requester import Requester
from parser_service.fetching.response import body_decoder, has_redirect_status
from parser_service.fetching.robots_text import reduce_to_groups_of
from parser_service.fetching.url_guard import VettedUrl

MAX_KEPT_SITES = 2000
"""Origins whose rules are cached."""
MAX_KEPT_LENGTH = 2 * 1024 * 1024
"""Characters of all cached rules; as objects they take up to fifty times as much."""
MAX_LENGTH_ON_LOOP = 8 * 1024
"""Characters of rules that are read and compared on the event loop; longer ones in a thread."""
RULES_LIFETIME_SECONDS = 3600.0
"""Seconds that rules are cached: RFC 9309, 2.4, allows 24 hours at most."""
UNREACHABLE_LIFETIME_SECONDS = 60.0
"""Seconds after which a robots.txt that could not be fetched is tried again."""
ROBOTS_TXT_TIMEOUT_SECONDS = 10.0
"""Seconds for one robots.txt, redirects included; more where hosts have an interval."""
MAX_ROBOTS_BYTES = 500 * 1024
"""Bytes of robots.txt that are read; RFC 9309, 2.5, asks for at least these."""


class RobotsTxtSource(Protocol):
    """Fetch robots.txt files."""

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """Return the status of a robots.txt and the beginning of its body.

        Raises:
            FetchError: the site gave no answer that can be read.
        """


class RobotsTxtFetcher:
    """Fetch robots.txt from sites and follow redirects (RFC 9309, 2.3.1.2).

    Args:
        requester: sends the requests.
        max_redirects: how many redirects are followed.
        pause: waits until a host may get the request that a redirect leads to. Whoever asked
            for the rules has waited for the first.
    """

    def __init__(
        self,
        requester: Requester,
        *,
        max_redirects: int,
        pause: Callable[[str], Awaitable[None]],
    ) -> None:
        self._requester = requester
        self._pause = pause
        self._max_redirects = max_redirects

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """See `RobotsTxtSource`."""
        target = self._requester.vet(url)
        for _ in range(self._max_redirects + 1):
            response = await self._requester.send(target)
            try:
                if not has_redirect_status(response):
                    return response.status_code, await self._read_beginning(response)
                target = self._requester.redirect_target(response, target)
            finally:
                await response.aclose()
            await self._pause(target.host_key)
        raise TooManyRedirectsError

    async def _read_beginning(self, response: httpx.Response) -> bytes:
        if not 200 <= response.status_code < 300:
            return b""
        decoder = body_decoder(response)
        body = bytearray()
        async for chunk in response.aiter_raw():
            for piece in decoder.decode(chunk):
                body += piece
                if len(body) >= MAX_ROBOTS_BYTES:
                    return bytes(body[:MAX_ROBOTS_BYTES])
            if decoder.is_complete:
                break
        return bytes(body)


@dataclass(frozen=True, slots=True)
class _SiteRules:
    """Hold the rules of one origin.

    Attributes:
        rules: None if they could not be fetched: then nothing may be.
        length: characters that they were read from.
        expires_at: by the clock of the cache.
    """

    rules: Protego | None
    length: int
    expires_at: float

    async def allow(self, url: str, robot: str) -> bool:
        """Return whether a robot may fetch a URL."""
        if self.rules is None:
            return False
        if self.length <= MAX_LENGTH_ON_LOOP:
            return self.rules.can_fetch(url, robot)
        return await asyncio.to_thread(self.rules.can_fetch, url, robot)


class RobotsRulesCache:
    """Hold the rules of sites for one robot, each fetched once for all who need it.

    Args:
        source: fetches robots.txt.
        user_agent: the robot's User-Agent; its first word names the robot in the rules.
        seconds: for one robots.txt, redirects included.
        clock: seconds, by which cached rules expire.
    """

    def __init__(
        self,
        source: RobotsTxtSource,
        *,
        user_agent: str,
        seconds: float = ROBOTS_TXT_TIMEOUT_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._source = source
        self._seconds = seconds
        self._clock = clock
        self._robot = user_agent.partition("/")[0].partition(" ")[0] or "*"
        self._cache: OrderedDict[str, _SiteRules] = OrderedDict()
        self._kept_length = 0
        self._in_flight: dict[str, asyncio.Future[_SiteRules]] = {}

    def knows(self, target: VettedUrl) -> bool:
        """Return whether the rules for a URL are cached: no request is sent for them."""
        cached = self._cache.get(target.origin)
        return cached is not None and self._clock() < cached.expires_at

    async def require_allowed(self, target: VettedUrl) -> None:
        """Return if the rules of the site allow a URL; fetch them unless they are cached.

        Raises:
            RobotsDisallowedError: they do not, or they could not be fetched.
        """
        site = await self._get_or_fetch_rules(target)
        if await site.allow(target.url, self._robot):
            return
        if site.rules is None:
            raise RobotsDisallowedError(
                "The site's robots.txt could not be fetched.", retryable=True
            )
        raise RobotsDisallowedError

    async def _get_or_fetch_rules(self, target: VettedUrl) -> _SiteRules:
        origin = target.origin
        if (cached := self._cache.get(origin)) and self._clock() < cached.expires_at:
            self._cache.move_to_end(origin)
            return cached
        if (fetching := self._in_flight.get(origin)) is not None:
            return await asyncio.shield(fetching)
        fetching = self._in_flight[origin] = asyncio.ensure_future(
            self._fetch_and_cache_rules(origin)
        )
        try:
            return await asyncio.shield(fetching)
        finally:
            if fetching.done():
                self._in_flight.pop(origin, None)
            else:
                fetching.add_done_callback(lambda _: self._in_flight.pop(origin, None))

    async def _fetch_and_cache_rules(self, origin: str) -> _SiteRules:
        """Fetch the rules of an origin and cache them.

        RFC 9309, 2.3.1: 4xx allows everything; 5xx and silence disallow everything.
        """
        try:
            async with asyncio.timeout(self._seconds):
                status, body = await self._source.fetch(f"{origin}/robots.txt")
        except (FetchError, TimeoutError):
            status, body = 599, b""
        if 200 <= status < 500:
            body = body if status < 300 else b""
            is_short = len(body) <= MAX_LENGTH_ON_LOOP
            length, rules = (
                self._read(body) if is_short else await asyncio.to_thread(self._read, body)
            )
            site = _SiteRules(rules, length, self._clock() + RULES_LIFETIME_SECONDS)
        else:
            site = _SiteRules(None, 0, self._clock() + UNREACHABLE_LIFETIME_SECONDS)
        self._keep(origin, site)
        return site

    def _read(self, body: bytes) -> tuple[int, Protego]:
        """Return the rules for this robot, and how many characters they have."""
        text = reduce_to_groups_of(self._robot, body.decode("utf-8", "replace"))
        return len(text), Protego.parse(text)

    def _keep(self, origin: str, site: _SiteRules) -> None:
        self._kept_length += site.length
        if (former := self._cache.pop(origin, None)) is not None:
            self._kept_length -= former.length
        self._cache[origin] = site
        while len(self._cache) > MAX_KEPT_SITES or self._kept_length > MAX_KEPT_LENGTH:
            _, oldest = self._cache.popitem(last=False)
            self._kept_length -= oldest.length
