"""Carry every request of the parser service to the network, with aiohttp.

httpx's own pool costs more CPU the more requests are in flight; aiohttp's does not
(decision record 0003). httpx's client is not needed either: half of what it does for a request
is to look for cookies. Addresses are vetted here: those of names when they resolve, and
every socket's, literal addresses included, when the socket is made.
"""

import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from functools import partial
from types import TracebackType
from typing import Self

import aiohttp
import httpx
import yarl

from parser_service.exceptions import FetchError
from parser_service.fetching.connection import SiteConnection, SiteConnector
from parser_service.fetching.connection_progress import ConnectionProgress, current_progress
from parser_service.fetching.errors import fetch_error_of
from parser_service.fetching.resolver import GuardedResolver
from parser_service.fetching.url_guard import UrlGuard

MAX_HEADER_LINES = 2000
READ_BUFFER_BYTES = 64 * 1024


class GuardedTransport:
    """Connect to vetted addresses only, and keep no cookies.

    From httpx comes only the response object with its raw body stream. httpx parses a Location
    header itself, redirect or not, and fails on some. The header is therefore removed, and its
    value is in the response's extension `location`.

    The extension `is_silent` says whether the site has sent nothing that is not read yet.

    Args:
        guard: vets every address.
        connect_timeout: seconds for one connection, its TLS handshake included.
        dns_timeout: seconds for one look-up.
        ssl_context: verifies certificates.
        nameservers: see `GuardedResolver`.
        max_header: bytes of a response's header, see `SiteConnection`.
        max_idle: idle connections that are kept, over all hosts.
        socket_class: the class of every connection's socket; tests pass one that records.
    """

    def __init__(
        self,
        guard: UrlGuard,
        *,
        connect_timeout: float,
        dns_timeout: float,
        ssl_context: ssl.SSLContext,
        max_header: int,
        max_idle: int,
        nameservers: tuple[str, ...] = (),
        socket_class: type[socket.socket] = socket.socket,
    ) -> None:
        self._guard = guard
        self._socket_class = socket_class
        self._connect_timeout = connect_timeout
        self._dns_timeout = dns_timeout
        self._ssl_context = ssl_context
        self._nameservers = nameservers
        self._max_header = max_header
        self._max_idle = max_idle
        self._resolver: GuardedResolver | None = None
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def get(self, url: str, *, headers: Mapping[str, str]) -> httpx.Response:
        """Send a GET request; the caller reads the response's raw body in chunks.

        Args:
            url: what to request, character by character.
            headers: all but Host, which is made from the URL.

        Raises:
            FetchError: the site sent no response that can be read.
        """
        progress = ConnectionProgress()
        current_progress.set(progress)
        try:
            try:
                response = await self._send_through(self._pooled_session(), url, headers)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if progress.has_dialled:
                    raise
                # The site closed a pooled connection, which does not mean that it is down:
                # retry once on a new one.
                response = await self._send_through(self._unpooled_session(), url, headers)
        except Exception as error:
            raise fetch_error_of(error, in_handshake=progress.has_begun_handshake) from error
        return httpx.Response(
            response.status,
            headers=[(n, v) for n, v in response.raw_headers if n.lower() != b"location"],
            stream=_Body(response),
            extensions={
                "location": response.headers.get("Location"),
                "is_silent": partial(_is_silent, response),
            },
        )

    async def _send_through(
        self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        return await session.request(
            "GET",
            _as_yarl(url),
            headers=headers,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            allow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close the pools and the resolver."""
        for session in self._sessions.values():
            await session.close()
        if self._resolver is not None:
            await self._resolver.close()

    def _pooled_session(self) -> aiohttp.ClientSession:
        return self._get_or_open_session(force_close=False)

    def _unpooled_session(self) -> aiohttp.ClientSession:
        return self._get_or_open_session(force_close=True)

    def _get_or_open_session(self, *, force_close: bool) -> aiohttp.ClientSession:
        """Return the session that pools connections, or the one that opens one per request.

        Each is opened on first use, because aiohttp needs a running event loop.
        """
        if (session := self._sessions.get(force_close)) is not None:
            return session
        self._resolver = self._resolver or GuardedResolver(
            self._guard, timeout=self._dns_timeout, nameservers=self._nameservers
        )
        connector = SiteConnector(
            max_idle=self._max_idle,
            max_overhead=self._max_header,
            resolver=self._resolver,
            socket_factory=self._make_vetted_socket,
            ssl=self._ssl_context,
            limit=0,
            ttl_dns_cache=10,
            force_close=force_close,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            # The page as a whole has a deadline of its own, see `pipeline.py`.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout),
            # `SiteConnection` bounds the header as a whole.
            max_line_size=self._max_header,
            max_field_size=self._max_header,
            max_headers=MAX_HEADER_LINES,
            read_bufsize=READ_BUFFER_BYTES,
        )
        self._sessions[force_close] = session
        return session

    def _make_vetted_socket(self, address_info: tuple[object, ...]) -> socket.socket:
        family, kind, protocol, _, address = address_info
        self._guard.vet_address(address[0])  # type: ignore[index]
        made = self._socket_class(family, kind, protocol)  # type: ignore[arg-type]
        made.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if (progress := current_progress.get()) is not None:
            progress.has_dialled = True
        return made


def _is_silent(response: aiohttp.ClientResponse) -> bool:
    connection = response.connection
    protocol = connection.protocol if connection else None
    return not (isinstance(protocol, SiteConnection) and protocol.has_unread_bytes())


def _as_yarl(url: str) -> yarl.URL:
    """Return a URL that aiohttp requests to the character; yarl itself drops an empty query."""
    made = yarl.URL(url, encoded=True)
    if url.endswith("?"):
        return made.with_path(made.raw_path + "?", encoded=True)
    return made


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except FetchError:
            raise
        except Exception as error:
            raise fetch_error_of(error) from error

    async def aclose(self) -> None:
        # Only a body that was read to its end leaves the connection fit for reuse.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()
