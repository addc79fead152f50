"""One page: guard, fetch, parse, within one deadline. Both entrances call it.

1. Admit the URL, or refuse it.
2. Fetch, following redirects.
3. Parse; in a thread where the page is so long that the event loop would notice
   (lexbor lets go of the interpreter's lock while it parses).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import perf_counter

import httpx
import structlog

from parser_service.config import Settings
from parser_service.exceptions import FetchError, FetchTimeoutError, InternalError
from parser_service.fetcher import FetchedPage, Fetcher
from parser_service.log import loggable_url
from parser_service.parser import PageFacts, parse
from parser_service.responses import Page
from parser_service.transport import GuardedTransport, client_tls_context
from parser_service.url_guard import UrlGuard

LONG_PAGE = 128 * 1024
"""Bytes from which a page is parsed off the event loop: about a millisecond's work."""

log = structlog.get_logger()


class PageHandler:
    """Turns a URL into a page or a `FetchError`, never into anything else."""

    def __init__(self, *, fetcher: Fetcher, timeout: float) -> None:
        self._fetcher = fetcher
        self._timeout = timeout

    async def handle(self, url: str) -> Page:
        """Fetch and parse a page.

        Raises:
            FetchError: why it cannot be had.
        """
        started = perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                fetched = await self._fetcher.fetch(url)
                fetched_at = datetime.now(UTC)
                facts = await _parse(fetched)
        except TimeoutError:
            raise self._failed(url, started, FetchTimeoutError()) from None
        except FetchError as error:
            raise self._failed(url, started, error) from error
        except Exception as error:
            log.exception("page crashed", url=loggable_url(url))
            raise self._failed(url, started, InternalError()) from error
        log.info(
            "page fetched",
            url=loggable_url(url),
            http_status=fetched.status,
            bytes=len(fetched.body),
            ms=_milliseconds_since(started),
        )
        return Page(
            title=facts.title,
            html=facts.html,
            final_url=fetched.final_url,
            http_status=fetched.status,
            content_type=fetched.content_type,
            charset=facts.charset,
            fetched_at=fetched_at,
        )

    def _failed(self, url: str, started: float, error: FetchError) -> FetchError:
        log.info(
            "page failed", url=loggable_url(url), code=error.code, ms=_milliseconds_since(started)
        )
        return error


@asynccontextmanager
async def open_handler(settings: Settings) -> AsyncIterator[PageHandler]:
    """A handler with the process's one HTTP client, closed at the end."""
    guard = UrlGuard(
        allowed_networks=settings.fetch_allowed_networks,
        allowed_ports=settings.fetch_allowed_ports,
    )
    transport = GuardedTransport(
        guard,
        connect_timeout=settings.fetch_connect_timeout,
        dns_timeout=settings.fetch_dns_timeout,
        ssl_context=client_tls_context(),
    )
    # One client serves all jobs: what one site sets must not reach the next.
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    async with httpx.AsyncClient(
        transport=transport,
        cookies=no_cookies,
        trust_env=False,
        timeout=None,  # noqa: S113 - each page has one deadline, in `handle`
    ) as client:
        fetcher = Fetcher(client=client, guard=guard, settings=settings)
        yield PageHandler(fetcher=fetcher, timeout=settings.fetch_timeout)


async def _parse(page: FetchedPage) -> PageFacts:
    declared = page.declared.charset if page.declared else None
    if len(page.body) < LONG_PAGE:
        return parse(page.body, markup=page.markup, declared_charset=declared)
    return await asyncio.to_thread(parse, page.body, markup=page.markup, declared_charset=declared)


def _milliseconds_since(started: float) -> int:
    return round((perf_counter() - started) * 1000)
