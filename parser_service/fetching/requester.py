"""Send single requests, for pages and for robots.txt, to URLs that the guard admitted."""

import httpx

from parser_service.exceptions import (
    BadRedirectError,
    InvalidUrlError,
    MalformedResponseError,
)
from parser_service.fetching.inflate import ACCEPT_ENCODING
from parser_service.fetching.transport import GuardedTransport
from parser_service.fetching.url_guard import ParsedUrl, UrlGuard, VettedUrl

MAX_LOCATION_LENGTH = 16 * 1024
"""Characters of a Location that is read; no URL that is accepted is as long."""


class Requester:
    """Send GET requests and read where redirects lead, without following them.

    Args:
        transport: sends them.
        guard: vets every URL, those that redirects lead to included.
        user_agent: the value of the User-Agent header.
    """

    def __init__(self, *, transport: GuardedTransport, guard: UrlGuard, user_agent: str) -> None:
        self._transport = transport
        self._guard = guard
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
            "Accept-Encoding": ACCEPT_ENCODING,
        }

    def vet(self, url: str | ParsedUrl) -> VettedUrl:
        """See `UrlGuard.vet`."""
        return self._guard.vet(url)

    async def send(self, target: VettedUrl, *, cookies: str | None = None) -> httpx.Response:
        """Send a request; the caller reads the body and closes the response.

        Args:
            target: what to request.
            cookies: the value of the Cookie header.

        Raises:
            FetchError: the site sent no response that can be read.
        """
        headers = self._headers | {"Cookie": cookies} if cookies else self._headers
        return await self._transport.get(target.url, headers=headers)

    def redirect_target(self, response: httpx.Response, target: VettedUrl) -> VettedUrl:
        """Return the URL that a redirect leads to.

        Args:
            response: the redirect.
            target: the URL that it answered.

        Raises:
            MalformedResponseError: it has no Location.
            BadRedirectError: its Location is not an http or https URL.
            BlockedAddressError: see `UrlGuard.vet`.
        """
        location = response.extensions["location"]
        if not location:
            raise MalformedResponseError("The redirect has no Location.")
        if len(location) > MAX_LOCATION_LENGTH:
            raise BadRedirectError
        text = _as_browsers_read(location.encode("utf-8", "surrogateescape"))
        try:
            return self._guard.vet(text, base=target.url)
        except InvalidUrlError:
            raise BadRedirectError from None


def _as_browsers_read(location: bytes) -> str:
    """Return a Location as text: UTF-8 in practice, else with each other byte escaped."""
    try:
        return location.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in location)
