"""One request at a time, for pages and for robots.txt: only URLs that the guard admitted."""

import httpx

from parser_service.exceptions import (
    BadRedirectError,
    InvalidUrlError,
    MalformedResponseError,
)
from parser_service.fetching.inflate import ACCEPT_ENCODING
from parser_service.fetching.url_guard import UrlGuard, VettedUrl


class Requester:
    """Sends GET requests and reads where redirects lead; it follows none.

    Args:
        client: its transport must be a `GuardedTransport`.
        guard: judges the URLs that redirects lead to.
        user_agent: what the requests call this service.
    """

    def __init__(self, *, client: httpx.AsyncClient, guard: UrlGuard, user_agent: str) -> None:
        self._client = client
        self._guard = guard
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
            "Accept-Encoding": ACCEPT_ENCODING,
        }

    def admit(self, url: str) -> VettedUrl:
        """See `UrlGuard.admit`."""
        return self._guard.admit(url)

    async def send(self, target: VettedUrl) -> httpx.Response:
        """Send a request; the caller reads the body and closes the response.

        Raises:
            FetchError: why there is no response.
        """
        request = httpx.Request(
            "GET", "http://target/", headers=self._headers, extensions={"target_url": target.url}
        )
        return await self._client.send(request, stream=True, follow_redirects=False)

    def redirect_target(self, response: httpx.Response, target: VettedUrl) -> VettedUrl:
        """Read where a redirect from a target leads.

        Raises:
            MalformedResponseError: there is no Location.
            BadRedirectError: it is not a URL that is fetched.
            BlockedAddressError: see `UrlGuard.admit`.
        """
        location = response.extensions["location"]
        if not location:
            raise MalformedResponseError("The page redirects to nowhere.")
        # Bytes outside ASCII are UTF-8 in practice, as browsers read them.
        text = location.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        try:
            return self._guard.admit(text, base=target.url)
        except InvalidUrlError:
            raise BadRedirectError from None
