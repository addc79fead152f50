"""Each exception of aiohttp has one meaning for clients."""

import ssl
from typing import Any

import aiohttp
import pytest
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from parser_service.exceptions import DnsError, FetchError
from parser_service.fetching.errors import fetch_error_of


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


KEY: Any = None


@pytest.mark.parametrize(
    ("error", "in_handshake", "code", "retryable"),
    [
        (DnsError(retryable=False), False, "dns_error", False),
        (ssl.SSLError("x"), False, "tls_error", False),
        (aiohttp.ClientConnectorError(KEY, OSError(111, "x")), False, "connect_error", True),
        (aiohttp.ClientConnectorError(KEY, OSError(104, "x")), True, "tls_error", False),
        (TimeoutError(), False, "timeout", True),
        (TimeoutError(), True, "tls_error", True),
        (ConnectionResetError(), False, "connect_error", True),
        (aiohttp.ServerDisconnectedError(), False, "connect_error", True),
        (aiohttp.ClientPayloadError(), False, "malformed_response", True),
        (_caused(aiohttp.ClientPayloadError(), OSError()), False, "connect_error", True),
        (aiohttp.InvalidURL("x"), False, "invalid_url", False),
        (BadHttpMessage("x"), False, "malformed_response", False),
        (ValueError("x"), False, "malformed_response", False),
        (_caused(aiohttp.ClientError(), LineTooLong(b"x", 1)), False, "too_large", False),
        (RuntimeError("x"), False, "internal_error", True),
    ],
    ids=repr,
)
def test_an_exception_becomes_the_error_that_it_amounts_to(
    error: Exception, in_handshake: bool, code: str, retryable: bool
) -> None:
    translated = fetch_error_of(error, in_handshake=in_handshake)
    assert isinstance(translated, FetchError)
    assert (translated.code, translated.retryable) == (code, retryable)
