"""Send single requests, for pages and for robots.txt, to URLs that the guard admitted."""

import httpx

from parser_service.exceptions import (
    BadRedirectError,
    InvalidUrlError,
    MalformedResponseError,
)
from parser_service.fetching.inflate import ACCEPT_ENCODING
from parser_service.fetching.url_guard import ParsedUrl, UrlGuard, VettedUrl

# httpx needs a URL; `GuardedTransport` requests the one in the extension instead.
_PLACEHOLDER_URL = "http://target/"


class Requester:
    """Send GET requests and read where redirects lead, without following them.

    Args:
        client: its transport must be a `GuardedTransport`.
        guard: vets every URL, those that redirects lead to included.
        user_agent: the value of the User-Agent header.
    """

    def __init__(self, *, client: httpx.AsyncClient, guard: UrlGuard, user_agent: str) -> None:
        self._client = client
        self._guard = guard
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
            "Accept-Encoding": ACCEPT_ENCODING,
        }

    def vet(self, url: str | ParsedUrl) -> VettedUrl:
        """See `UrlGuard.vet`."""
        return self._guard.vet(url)

    async def send(self, target: VettedUrl) -> httpx.Response:
        """Send a request; the caller reads the body and closes the response.

        Raises:
            FetchError: the site sent no response that can be read.
        """
        request = httpx.Request(
            "GET", _PLACEHOLDER_URL, headers=self._headers, extensions={"target_url": target.url}
        )
        return await self._client.send(request, stream=True, follow_redirects=False)

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
        # Browsers read bytes outside ASCII as UTF-8, which they are in practice.
        text = location.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        try:
            return self._guard.vet(text, base=target.url)
        except InvalidUrlError:
            raise BadRedirectError from None
