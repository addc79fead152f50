"""Say why a page could not be fetched: one error class per code of the shared vocabulary.

The codes are part of the wire (`docs/wire-contract.md`): they reach clients through
`GET /fetch`, through result messages and through the API. A message is one plain sentence
for strangers and reveals nothing about hosts inside the operator's network.
"""

from http import HTTPStatus
from typing import ClassVar


class CannotStartError(Exception):
    """This process cannot start; the message says why, and what to do."""


class FetchError(Exception):
    """Say that a page cannot be fetched, and why.

    Attributes:
        code: stable name of the reason.
        message: one sentence for the client.
        retryable: whether a later try may succeed.
        http_status: the status that `GET /fetch` answers with.
        page_status: the page's own HTTP status, if that is the reason.
        retry_after: seconds that the site asked us to wait, if it did.
    """

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[HTTPStatus] = HTTPStatus.BAD_GATEWAY
    default_message: ClassVar[str] = "The page could not be processed."
    retryable: bool = False
    page_status: int | None = None
    retry_after: float | None = None

    def __init__(self, message: str | None = None, *, retryable: bool | None = None) -> None:
        self.message = message or self.default_message
        if retryable is not None:
            self.retryable = retryable
        super().__init__(self.message)


class InvalidUrlError(FetchError):
    """The URL is not an http or https URL that this service accepts."""

    code = "invalid_url"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY
    default_message = "This is not an http or https URL that can be fetched."


class BadRedirectError(FetchError):
    """A redirect leads to a URL that this service does not accept; the client is not at fault."""

    code = "invalid_url"
    default_message = "The page redirects to a URL that cannot be fetched."


class BlockedAddressError(FetchError):
    """The URL leads to an address or port that must not be connected to."""

    code = "blocked_address"
    default_message = "This address may not be fetched."


class DnsError(FetchError):
    """The host name could not be resolved."""

    code = "dns_error"
    default_message = "The host name could not be resolved."
    retryable = True


class ConnectError(FetchError):
    """No connection opened, or it closed before the response was complete."""

    code = "connect_error"
    default_message = "The site could not be reached."
    retryable = True


class TlsError(FetchError):
    """The TLS handshake failed or the certificate is not valid for the host."""

    code = "tls_error"
    default_message = "A TLS connection to the site could not be established or verified."


class FetchTimeoutError(FetchError):
    """A time limit ran out."""

    code = "timeout"
    default_message = "The site took too long."
    retryable = True


class TooLargeError(FetchError):
    """The response is larger than the limits allow."""

    code = "too_large"
    default_message = "The page is larger than this service accepts."


class TooManyRedirectsError(FetchError):
    """The page redirects more often than this service follows."""

    code = "too_many_redirects"
    default_message = "The page redirects too often."


class PageStatusError(FetchError):
    """The site answered with a status that carries no page."""

    code = "http_status"

    # RFC 9110 and RFC 6585: statuses of temporary conditions.
    TEMPORARY: ClassVar = frozenset({408, 425, 429, 500, 502, 503, 504})

    def __init__(self, status: int, *, retry_after: float | None = None) -> None:
        super().__init__(
            f"The site answered with HTTP status {status}.", retryable=status in self.TEMPORARY
        )
        self.page_status = status
        self.retry_after = retry_after


class UnsupportedContentTypeError(FetchError):
    """The response is neither HTML nor XHTML."""

    code = "unsupported_content_type"
    default_message = "The page is neither HTML nor XHTML."


class BadContentEncodingError(FetchError):
    """The body does not decode by its own Content-Encoding."""

    code = "bad_encoding"
    default_message = "The page's content encoding is broken or not supported."


class MalformedResponseError(FetchError):
    """The site's response violates HTTP."""

    code = "malformed_response"
    default_message = "The site sent a malformed response."


class RobotsDisallowedError(FetchError):
    """The site's robots.txt forbids the URL, or could not be fetched (RFC 9309)."""

    code = "robots_disallowed"
    default_message = "The site's robots.txt does not allow this page to be fetched."


class BusyError(FetchError):
    """A request of `GET /fetch` could not begin in time; a job never ends with it."""

    code = "busy"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    default_message = (
        "Too many pages are being fetched at the moment, or too many of this site: try again later."
    )
    retryable = True
    retry_after = 5


class InternalError(FetchError):
    """This service has a fault."""

    code = "internal_error"
    retryable = True
