"""A URL turned into bytes: redirects by hand, every limit counted. The only user of HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from parser_service import content_type as ct
from parser_service.config import Settings
from parser_service.exceptions import (
    BadRedirectError,
    InvalidUrlError,
    MalformedResponseError,
    PageStatusError,
    TooLargeError,
    TooManyRedirectsError,
    UnsupportedContentTypeError,
)
from parser_service.inflate import ACCEPT_ENCODING, decoder_for
from parser_service.url_guard import Target, UrlGuard

SNIFF_LENGTH = 1445
"""Bytes that decide on the kind of a document without a type (MIME Sniffing Standard, 5.2)."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# RFC 9110: these successes have no page in them.
_EMPTY_SUCCESSES = frozenset({204, 205})


@dataclass(frozen=True, slots=True)
class Hop:
    """One redirect: the URL that was asked for and the status that sent us on."""

    url: str
    status: int


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A page as it came, its content encoding undone.

    Attributes:
        content_type: the Content-Type header as sent, for the client.
        declared: the same, read by the rules.
    """

    final_url: str
    status: int
    content_type: str | None
    declared: ct.ContentType | None
    markup: ct.Markup
    body: bytes
    redirects: Sequence[Hop] = field(default=())


class Fetcher:
    """Fetches pages, each within the limits of the settings.

    It has no deadline of its own: the handler puts one around fetching and parsing.
    """

    def __init__(self, *, client: httpx.AsyncClient, guard: UrlGuard, settings: Settings) -> None:
        self._client = client
        self._guard = guard
        self._max_body = settings.fetch_max_body
        self._max_redirects = settings.fetch_max_redirects
        self._headers = {
            "User-Agent": settings.fetch_user_agent,
            "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
            "Accept-Encoding": ACCEPT_ENCODING,
        }

    async def fetch(self, url: str) -> FetchedPage:
        """Fetch a page, following redirects.

        Raises:
            FetchError: why there is none.
        """
        target = self._guard.admit(url)
        hops: list[Hop] = []
        while True:
            response = await self._send(target)
            try:
                if response.status_code not in _REDIRECTS:
                    return await self._read(response, target, hops)
                hops.append(Hop(target.url, response.status_code))
                target = self._next_target(response, target, len(hops))
            finally:
                await response.aclose()

    async def _send(self, target: Target) -> httpx.Response:
        request = httpx.Request(
            "GET", "http://target/", headers=self._headers, extensions={"target_url": target.url}
        )
        return await self._client.send(request, stream=True, follow_redirects=False)

    def _next_target(self, response: httpx.Response, target: Target, hops: int) -> Target:
        if hops > self._max_redirects:
            raise TooManyRedirectsError
        location = response.headers.get("location")
        if not location:
            raise MalformedResponseError("The page redirects to nowhere.")
        # Header bytes outside ASCII are UTF-8 in practice, as browsers read them.
        text = location.encode("latin-1", "replace").decode("utf-8", "replace")
        try:
            return self._guard.admit(text, base=target.url)
        except InvalidUrlError:
            raise BadRedirectError from None

    async def _read(
        self, response: httpx.Response, target: Target, hops: Sequence[Hop]
    ) -> FetchedPage:
        status = response.status_code
        if not 200 <= status < 300 or status in _EMPTY_SUCCESSES:
            raise PageStatusError(status)
        values = response.headers.get_list("content-type")
        declared = ct.extract(values)
        if declared is not None and ct.markup_of(declared, b"") is None and not declared.is_unknown:
            raise UnsupportedContentTypeError
        body = await self._read_body(response, sniff=declared is None or declared.is_unknown)
        markup = ct.markup_of(declared, body[:SNIFF_LENGTH])
        if markup is None:
            raise UnsupportedContentTypeError
        return FetchedPage(
            final_url=target.url,
            status=status,
            content_type=", ".join(values) or None,
            declared=declared,
            markup=markup,
            body=body,
            redirects=tuple(hops),
        )

    async def _read_body(self, response: httpx.Response, *, sniff: bool) -> bytes:
        decoder = decoder_for(",".join(response.headers.get_list("content-encoding")))
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max_body:
            raise TooLargeError
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += decoder.feed(chunk, self._max_body - len(body))
            if sniff and len(body) >= SNIFF_LENGTH:
                if ct.markup_of(None, bytes(body[:SNIFF_LENGTH])) is None:
                    raise UnsupportedContentTypeError
                sniff = False
        decoder.finish()
        return bytes(body)
