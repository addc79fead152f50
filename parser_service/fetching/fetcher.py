"""Fetch a page within limits, following redirects one by one.

For each URL on the way, the targets of redirects included:

1. Admit it with the guard, or refuse it.
2. Wait for a slot of its host.
3. Check robots.txt, if that is wanted; if it was fetched for this, wait for the host again.
4. Send the request; a redirect starts the next round, any other response is read or refused.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import httpx

from parser_service.config import Settings
from parser_service.exceptions import (
    PageStatusError,
    TooManyRedirectsError,
    UnsupportedContentTypeError,
)
from parser_service.fetching.body import START_BYTES, BodyReader
from parser_service.fetching.body_budget import BodyBudget
from parser_service.fetching.cookies import (
    bounded,
    cookie_header,
    load_suffixes,
    need_suffixes,
)
from parser_service.fetching.hop import Hop
from parser_service.fetching.intervals import wait_and_take_request_time
from parser_service.fetching.requester import Requester
from parser_service.fetching.response import has_redirect_status, retry_after_seconds
from parser_service.fetching.robots import (
    ROBOTS_TXT_TIMEOUT_SECONDS,
    RobotsRulesCache,
    RobotsTxtFetcher,
)
from parser_service.fetching.transport import GuardedTransport
from parser_service.fetching.url_guard import ParsedUrl, UrlGuard, VettedUrl
from parser_service.markup import content_type as ct
from parser_service.page import PageOptions
from parser_service.redis_queue.host_limits import HostLimits

# RFC 9110: these successes carry no page.
_EMPTY_SUCCESS_STATUSES = frozenset({204, 205})


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """Hold a page as the site sent it, its content encoding decoded.

    Attributes:
        final_url: the URL that answered, after redirects.
        content_type: the Content-Type header as sent, for the client.
        declared: the same header, parsed.
        robots_headers: values of X-Robots-Tag headers.
        refresh: the Refresh header.
        fetched_at: when the body was complete.
        set_cookies: the Set-Cookie headers that are kept.
    """

    final_url: str
    status: int
    content_type: str | None
    declared: ct.ContentType | None
    markup: ct.Markup
    body: bytes
    robots_headers: Sequence[str] = ()
    refresh: str | None = None
    set_cookies: tuple[str, ...] = ()
    redirects: Sequence[Hop] = field(default=())
    fetched_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class NotFetchedYetError(Exception):
    """Access to the host was postponed: the page has neither been fetched nor failed."""


class HostAccess(Protocol):
    """Permit the requests of one page, and hold what the page occupies until it is delivered."""

    async def obtain_host_access(
        self, target: VettedUrl, hops: Sequence[Hop], *, is_allowed: bool = False
    ) -> None:
        """Wait until a request to this host may be sent, and hold what it needs.

        The fetcher calls it before each request.

        Args:
            target: what is requested, now or after its robots.txt.
            hops: redirects that were followed before.
            is_allowed: whether robots.txt was found to allow the target.

        Raises:
            BusyError: that takes too long for the client that waits.
            NotFetchedYetError: the host has no slot now; the page will be fetched later.
        """

    async def hold_until_delivered(self, resource: AbstractAsyncContextManager[object]) -> None:
        """Enter a resource now and leave it when the page is delivered."""


class Fetcher:
    """Fetch pages, each within the limits of the settings.

    The deadline is not set here: the pipeline sets one around fetching and parsing.
    """

    def __init__(
        self,
        *,
        transport: GuardedTransport,
        guard: UrlGuard,
        settings: Settings,
        limits: HostLimits | None = None,
    ) -> None:
        self._respect_robots = settings.respect_robots
        self._max_redirects = settings.fetch_max_redirects
        self._bodies = BodyReader(
            max_bytes=settings.fetch_max_body,
            budget=BodyBudget(settings.fetch_body_budget, min_rate=settings.fetch_min_rate),
        )
        self._requester = Requester(
            transport=transport, guard=guard, user_agent=settings.fetch_user_agent
        )
        robots_txt = RobotsTxtFetcher(
            self._requester,
            max_redirects=settings.fetch_max_redirects,
            pause=partial(wait_and_take_request_time, limits),
        )
        self._robots = RobotsRulesCache(
            robots_txt,
            user_agent=settings.fetch_user_agent,
            # Redirects wait for the interval of their host.
            seconds=ROBOTS_TXT_TIMEOUT_SECONDS
            + settings.fetch_max_redirects * settings.host_min_interval,
        )

    async def fetch(
        self,
        url: str | ParsedUrl,
        *,
        access: HostAccess,
        options: PageOptions,
        hops: Sequence[Hop] = (),
        is_allowed: bool = False,
    ) -> FetchedPage:
        """Fetch a page, following redirects.

        Args:
            url: the first URL, or the next one after `hops`.
            access: permits each request; holds what the page occupies.
            options: whether to obey robots.txt.
            hops: redirects that were followed before.
            is_allowed: whether robots.txt was found to allow the URL before.

        Raises:
            FetchError: the page cannot be fetched.
            NotFetchedYetError: see `HostAccess`.
        """
        target = self._requester.vet(url)
        passed = list(hops)
        while True:
            await access.obtain_host_access(target, passed, is_allowed=is_allowed)
            if (self._respect_robots or options.respect_robots) and not is_allowed:
                is_known = self._robots.knows(target)
                await self._robots.require_allowed(target)
                if not is_known:
                    await access.obtain_host_access(target, passed, is_allowed=True)
            is_allowed = False
            cookies = await _cookies_for(target, passed)
            response = await self._requester.send(target, cookies=cookies)
            try:
                if not has_redirect_status(response):
                    return await self._read_page(response, target, passed, access)
                set_cookies = bounded(response.headers.get_list("set-cookie"))
                passed.append(Hop(target.url, response.status_code, set_cookies))
                if len(passed) > self._max_redirects:
                    raise TooManyRedirectsError
                target = self._requester.redirect_target(response, target)
            finally:
                await response.aclose()

    async def _read_page(
        self,
        response: httpx.Response,
        target: VettedUrl,
        hops: Sequence[Hop],
        access: HostAccess,
    ) -> FetchedPage:
        status = response.status_code
        if not 200 <= status < 300 or status in _EMPTY_SUCCESS_STATUSES:
            raise PageStatusError(status, retry_after=retry_after_seconds(response))
        values = response.headers.get_list("content-type")
        declared = ct.extract(values)
        needs_start = ct.is_decided_by_start(declared)
        if not needs_start and ct.markup_of(declared, b"") is None:
            raise UnsupportedContentTypeError
        body = await self._bodies.read(
            response,
            hold=access.hold_until_delivered,
            check_start=partial(_require_markup, declared) if needs_start else None,
        )
        markup = ct.markup_of(declared, body[:START_BYTES])
        if markup is None:
            raise UnsupportedContentTypeError
        return FetchedPage(
            final_url=target.url,
            status=status,
            content_type=", ".join(values) or None,
            declared=declared,
            markup=markup,
            body=body,
            robots_headers=response.headers.get_list("x-robots-tag"),
            refresh=response.headers.get("refresh"),
            set_cookies=bounded(response.headers.get_list("set-cookie")),
            redirects=tuple(hops),
        )


async def _cookies_for(target: VettedUrl, hops: Sequence[Hop]) -> str | None:
    if need_suffixes(hops):
        await asyncio.to_thread(load_suffixes)
    return cookie_header(hops, target) if hops else None


def _require_markup(declared: ct.ContentType | None, start: bytes) -> None:
    if ct.markup_of(declared, start) is None:
        raise UnsupportedContentTypeError
