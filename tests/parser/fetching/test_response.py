"""Headers of a response, as tables."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from parser_service.exceptions import BadContentEncodingError
from parser_service.fetching.response import body_decoder, has_redirect_status, retry_after_seconds


def _response(status: int = 503, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("9" * 5000, 999_999_999),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Fri, 02 Jan 1970 03:04:05 GMT", 0),
        ("Fri, 99 Jan 1970 03:04:05 GMT", None),
    ],
)
def test_retry_after_is_read_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after_seconds(_response(retry_after=text)) == seconds


def test_retry_after_may_be_a_date() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=60)
    for text in (
        format_datetime(moment, usegmt=True),
        format_datetime(moment.replace(tzinfo=None)),
    ):
        seconds = retry_after_seconds(_response(retry_after=text))
        assert seconds is not None
        assert 50 < seconds <= 60


@pytest.mark.parametrize("status", [200, 204, 300, 301, 302, 303, 304, 305, 307, 308, 404])
def test_only_statuses_that_lead_elsewhere_are_redirects(status: int) -> None:
    assert has_redirect_status(_response(status)) == (status in {301, 302, 303, 307, 308})


def test_two_encodings_are_refused_also_in_two_headers() -> None:
    twice = httpx.Response(
        200, headers=[("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")]
    )
    with pytest.raises(BadContentEncodingError):
        body_decoder(twice)
    assert list(body_decoder(_response(200)).decode(b"plain")) == [b"plain"]
