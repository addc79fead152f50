"""What aiohttp's exceptions mean in the vocabulary of this service."""

import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from parser_service.exceptions import (
    ConnectError,
    FetchError,
    FetchTimeoutError,
    InternalError,
    InvalidUrlError,
    MalformedResponseError,
    TlsError,
    TooLargeError,
)


def fetch_error_of(error: Exception, *, in_handshake: bool = False) -> FetchError:
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
            return _protocol_error(error)
        case _:
            return InternalError()


def _protocol_error(error: BaseException | None) -> FetchError:
    while error is not None:
        if isinstance(error, LineTooLong):
            return TooLargeError("The response's header is larger than this service accepts.")
        error = error.__cause__
    return MalformedResponseError()
