"""Turn a URL into a page, within one deadline. Both entrances call it.

1. Admit the URL, or refuse it.
2. Fetch, following redirects, with the host's permission for each request.
3. Parse where the page can do no harm (see `sandbox/triage.py`).
4. Count and log the outcome.
"""

import asyncio
from collections.abc import Sequence
from time import perf_counter

import structlog

from parser_service import metrics
from parser_service.exceptions import (
    FetchError,
    FetchTimeoutError,
    InternalError,
    PageStatusError,
    UnsupportedContentTypeError,
)
from parser_service.fetching.fetcher import (
    FetchedPage,
    Fetcher,
    HostAccess,
    NotFetchedYetError,
)
from parser_service.fetching.hop import Hop
from parser_service.fetching.url_guard import ParsedUrl
from parser_service.log import loggable_url
from parser_service.page import Page, PageOptions, Redirect
from parser_service.parser import ParsedPage, RawPage
from parser_service.sandbox.pool import ParseRunner

log = structlog.get_logger()


class PagePipeline:
    """Turn a URL into a page or a `FetchError`; an unexpected failure is an `InternalError`."""

    def __init__(
        self, *, fetcher: Fetcher, pool: ParseRunner, timeout: float, max_refreshes: int
    ) -> None:
        self._fetcher = fetcher
        self._pool = pool
        self._timeout = timeout
        self._max_refreshes = max_refreshes

    async def run(
        self,
        url: str | ParsedUrl,
        *,
        access: HostAccess,
        options: PageOptions,
        hops: Sequence[Hop] = (),
        is_allowed: bool = False,
    ) -> Page:
        """Fetch and parse a page, and the one that it asks for in its place.

        Args:
            url: the first URL, or the next one after `hops`.
            access: permits each request; holds what the page occupies.
            options: what the client asked for besides the URL.
            hops: redirects that were followed before.
            is_allowed: whether robots.txt was found to allow the URL before.

        Raises:
            FetchError: the page cannot be fetched or parsed.
            NotFetchedYetError: the host has no slot now; the page is fetched later.
        """
        started = perf_counter()
        with metrics.PAGES_IN_FLIGHT.track_inprogress():
            try:
                async with asyncio.timeout(self._timeout):
                    fetched = await self._fetcher.fetch(
                        url, access=access, options=options, hops=hops, is_allowed=is_allowed
                    )
                    fetched, facts = await self._parse_and_follow(fetched, access, options)
            except NotFetchedYetError:
                raise
            except (TimeoutError, FetchError) as error:
                failure = error if isinstance(error, FetchError) else FetchTimeoutError()
                _report_failure(url, failure.code, since=started)
                raise failure from None
            except Exception as error:
                log.exception("page crashed", url=loggable_url(str(url)))
                _report_failure(url, InternalError.code, since=started)
                raise InternalError from error
        seconds = perf_counter() - started
        _report_success(fetched, seconds=seconds)
        return _to_page(fetched, facts, elapsed_ms=_milliseconds(seconds))

    async def _parse_and_follow(
        self, fetched: FetchedPage, access: HostAccess, options: PageOptions
    ) -> tuple[FetchedPage, ParsedPage]:
        """Parse a page; while it asks for another in its place, fetch and parse that one.

        If what it asks for is no page, it stays the result.
        """
        facts = await self._parse(fetched, options)
        while (target := facts.refresh_url) and self._may_follow(target, fetched):
            try:
                fetched = await self._fetcher.fetch(
                    target, access=access, options=options, hops=_hops_after(fetched)
                )
            except (UnsupportedContentTypeError, PageStatusError) as error:
                # As a browser that begins a download: it goes on to show the page.
                if error.retryable:
                    raise
                break
            facts = await self._parse(fetched, options)
        return fetched, facts

    async def _parse(self, fetched: FetchedPage, options: PageOptions) -> ParsedPage:
        facts = await self._pool.parse(_to_raw_page(fetched, options))
        for fault in facts.faults:
            log.error("fact not found", url=loggable_url(fetched.final_url), error=fault)
        return facts

    def _may_follow(self, target: str, page: FetchedPage) -> bool:
        """Return whether a page's refresh is followed; otherwise the page itself is the result.

        A URL that was requested before is one of pages that lead to each other in turns.
        """
        requested = [hop.url for hop in page.redirects]
        return len(requested) < self._max_refreshes and target not in requested


def _hops_after(page: FetchedPage) -> Sequence[Hop]:
    return (*page.redirects, Hop(page.final_url, page.status, page.set_cookies))


def _to_raw_page(page: FetchedPage, options: PageOptions) -> RawPage:
    return RawPage(
        body=page.body,
        markup=page.markup,
        url=page.final_url,
        declared_charset=page.declared.charset if page.declared else None,
        robots_headers=page.robots_headers,
        refresh=page.refresh,
        title_fallback=options.title_fallback,
    )


def _to_page(fetched: FetchedPage, facts: ParsedPage, *, elapsed_ms: int) -> Page:
    return Page(
        title=facts.title,
        title_source=facts.title_source,
        html=facts.html,
        metadata=facts.metadata,
        final_url=fetched.final_url,
        redirects=[Redirect(url=hop.url, status=hop.status) for hop in fetched.redirects],
        http_status=fetched.status,
        content_type=fetched.content_type,
        charset=facts.charset,
        bytes=len(fetched.body),
        elapsed_ms=elapsed_ms,
        fetched_at=fetched.fetched_at,
    )


def _report_success(fetched: FetchedPage, *, seconds: float) -> None:
    metrics.count_success(seconds=seconds, size=len(fetched.body))
    log.info(
        "page fetched",
        url=loggable_url(fetched.final_url),
        http_status=fetched.status,
        bytes=len(fetched.body),
        ms=_milliseconds(seconds),
    )


def _report_failure(url: str | ParsedUrl, code: str, *, since: float) -> None:
    seconds = perf_counter() - since
    metrics.count_failure(code, seconds=seconds)
    log.info("page failed", url=loggable_url(str(url)), code=code, ms=_milliseconds(seconds))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
