"""httpx over aiohttp: the way every request of the parser service takes to the network.

httpx's own pool costs more CPU the more requests are under way; aiohttp's does not
(decision record 0003). The connector here is also where addresses are vetted: names when
they are resolved, and each socket, literals included, when it is made.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiodns
import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from parser_service.exceptions import (
    ConnectError,
    DnsError,
    FetchError,
    FetchTimeoutError,
    InternalError,
    InvalidUrlError,
    MalformedResponseError,
    TlsError,
    TooLargeError,
)
from parser_service.fetching.url_guard import UrlGuard

MAX_HEADER_LINE = 64 * 1024
MAX_HEADERS = 512
CHUNK_SIZE = 64 * 1024


@dataclass(slots=True)
class _Connecting:
    """What happened on the way to a connection for one request."""

    dialled: bool = False
    handshake_begun: bool = False


# Set anew for each request, in the task that waits for it and so for all that it starts.
_connecting: ContextVar[_Connecting | None] = ContextVar("connecting", default=None)


class ClientTlsContext(ssl.SSLContext):
    """Verifies certificates and names, and notes for the current request that a handshake began.

    So a handshake that stalls is told from a connection that never came about.
    """

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext.wrap_bio`."""
        if (connecting := _connecting.get()) is not None:
            connecting.handshake_begun = True
        return super().wrap_bio(*args, **kwargs)


def client_tls_context(ca_bundle: Path | None = None) -> ClientTlsContext:
    """A context that trusts the system's authorities, or only an operator's own bundle."""
    context = ClientTlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_bundle is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_bundle)
    return context


class GuardedResolver(AbstractResolver):
    """Resolves names through c-ares, so that hanging ones occupy no thread and can be given up.

    Args:
        guard: refuses the name if any of its addresses may not be connected to.
        timeout: seconds for one name.
        concurrency: look-ups under way at a time, a limit apart from that on pages.
        nameservers: used in place of the machine's own, as `host:port`.
    """

    def __init__(
        self,
        guard: UrlGuard,
        *,
        timeout: float,
        concurrency: int = 256,
        nameservers: tuple[str, ...] = (),
    ) -> None:
        self._guard = guard
        self._timeout = timeout
        self._limit = asyncio.Semaphore(concurrency)
        self._resolver = aiodns.DNSResolver(
            nameservers=list(nameservers) or None, timeout=timeout / 2, tries=2
        )

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            DnsError: there are none, or they did not come in time.
            BlockedAddressError: one of them may not be connected to.
        """
        try:
            async with asyncio.timeout(self._timeout), self._limit:
                answer = await self._resolver.getaddrinfo(
                    host, port=port, family=family, type=socket.SOCK_STREAM
                )
        except TimeoutError:
            raise DnsError("The host name could not be resolved in time.") from None
        except aiodns.error.DNSError as error:
            raise DnsError(retryable=error.args[0] not in _DEFINITE) from None
        addresses = [(node.family, _text(node.addr[0])) for node in answer.nodes]
        if not addresses:
            raise DnsError(retryable=False)
        for _, address in addresses:
            self._guard.admit_address(address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, address in addresses
        ]

    async def close(self) -> None:
        """Give up what is under way."""
        await self._resolver.close()


# Answers that another try will not change: no such name, no such record.
_DEFINITE = frozenset(
    {aiodns.error.ARES_ENOTFOUND, aiodns.error.ARES_ENODATA, aiodns.error.ARES_EBADNAME}
)


def _text(address: bytes | str) -> str:
    return address.decode("ascii") if isinstance(address, bytes) else address


class GuardedTransport(httpx.AsyncBaseTransport):
    """An httpx transport that connects to vetted addresses only and keeps no cookies.

    It asks for the URL in the request's extension `target_url` to the letter, and takes the
    Host header from it: httpx escapes URLs anew and so can differ from what a browser asks for.

    Args:
        guard: vets every address.
        connect_timeout: seconds for one connection, its TLS handshake included.
        dns_timeout: seconds for one look-up.
        ssl_context: how certificates are verified.
        nameservers: see `GuardedResolver`.
        socket_class: what connections are made with; tests record them there.
    """

    def __init__(
        self,
        guard: UrlGuard,
        *,
        connect_timeout: float,
        dns_timeout: float,
        ssl_context: ssl.SSLContext,
        nameservers: tuple[str, ...] = (),
        socket_class: type[socket.socket] = socket.socket,
    ) -> None:
        self._guard = guard
        self._socket_class = socket_class
        self._connect_timeout = connect_timeout
        self._dns_timeout = dns_timeout
        self._ssl_context = ssl_context
        self._nameservers = nameservers
        self._resolver: GuardedResolver | None = None
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response's body is read raw, in chunks, by its reader.

        Raises:
            FetchError: why there is no response.
        """
        connecting = _Connecting()
        _connecting.set(connecting)
        try:
            try:
                response = await self._send(request, self._pooled())
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if connecting.dialled:
                    raise
                # A kept connection that the site was just closing: that says nothing of the
                # site, so it gets another try on a new one.
                response = await self._send(request, self._fresh())
        except Exception as error:
            raise _translate(error, in_handshake=connecting.handshake_begun) from error
        # httpx would read a Location by itself, redirect or not, and fail on some; its reader is
        # the fetcher, which judges it as a browser would.
        return httpx.Response(
            response.status,
            headers=[(n, v) for n, v in response.raw_headers if n.lower() != b"location"],
            stream=_Body(response),
            extensions={"location": response.headers.get("Location")},
        )

    async def _send(
        self, request: httpx.Request, session: aiohttp.ClientSession
    ) -> aiohttp.ClientResponse:
        return await session.request(
            request.method,
            yarl.URL(request.extensions["target_url"], encoded=True),
            headers=[(n, v) for n, v in request.headers.items() if n != "host"],
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            allow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close the pools."""
        for session in self._sessions.values():
            await session.close()
        if self._resolver is not None:
            await self._resolver.close()

    def _pooled(self) -> aiohttp.ClientSession:
        return self._session(force_close=False)

    def _fresh(self) -> aiohttp.ClientSession:
        return self._session(force_close=True)

    def _session(self, *, force_close: bool) -> aiohttp.ClientSession:
        """The session that keeps connections, or the one that makes a new one each time.

        They are opened when first needed: aiohttp wants a running event loop.
        """
        if (session := self._sessions.get(force_close)) is not None:
            return session
        self._resolver = self._resolver or GuardedResolver(
            self._guard, timeout=self._dns_timeout, nameservers=self._nameservers
        )
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            socket_factory=self._make_socket,
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
            # The whole page has a deadline of its own, see `handler.py`.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout),
            max_line_size=MAX_HEADER_LINE,
            max_field_size=MAX_HEADER_LINE,
            max_headers=MAX_HEADERS,
            read_bufsize=CHUNK_SIZE,
        )
        self._sessions[force_close] = session
        return session

    def _make_socket(self, address_info: tuple[object, ...]) -> socket.socket:
        family, kind, protocol, _, address = address_info
        self._guard.admit_address(address[0])  # type: ignore[index]
        made = self._socket_class(family, kind, protocol)  # type: ignore[arg-type]
        made.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if (connecting := _connecting.get()) is not None:
            connecting.dialled = True
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
            raise _translate(error) from error

    async def aclose(self) -> None:
        # A body that was read to its end gives the connection back; any other closes it.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _translate(error: Exception, *, in_handshake: bool = False) -> FetchError:
    """What an exception of aiohttp means, in the vocabulary of this service."""
    match error:
        case FetchError():
            return error
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return TlsError()
        case aiohttp.ClientConnectorError() if in_handshake:
            return TlsError()
        case TimeoutError():
            return TlsError(retryable=True) if in_handshake else FetchTimeoutError()
        case aiohttp.ClientPayloadError() if isinstance(error.__cause__, OSError):
            return ConnectError("The connection broke before the page was whole.")
        case aiohttp.ClientPayloadError():
            return MalformedResponseError("The response broke off.", retryable=True)
        case aiohttp.InvalidURL():
            return InvalidUrlError()
        case aiohttp.ClientConnectionError() | OSError():
            return ConnectError()
        case aiohttp.ClientError() | HttpProcessingError() | ValueError():
            return _translate_protocol_error(error)
        case _:
            return InternalError()


def _translate_protocol_error(error: BaseException | None) -> FetchError:
    while error is not None:
        if isinstance(error, LineTooLong):
            return TooLargeError("The response's header is larger than this service accepts.")
        error = error.__cause__
    return MalformedResponseError()
