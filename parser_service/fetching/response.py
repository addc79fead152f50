"""Read the headers of a response that decide how to go on."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from parser_service.fetching.inflate import Decoder, decoder_for

_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})


def has_redirect_status(response: httpx.Response) -> bool:
    """Return whether the status is one of the redirects that carry a Location."""
    return response.status_code in _REDIRECT_STATUSES


def body_decoder(response: httpx.Response) -> Decoder:
    """Return the decoder for the body's content encoding.

    Raises:
        BadContentEncodingError: see `inflate.decoder_for`.
    """
    return decoder_for(",".join(response.headers.get_list("content-encoding")))


def retry_after_seconds(response: httpx.Response) -> float | None:
    """Return the seconds from now that Retry-After asks for (RFC 9110, 10.2.3).

    Returns:
        None if the header is absent or is neither seconds nor a date.
    """
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
