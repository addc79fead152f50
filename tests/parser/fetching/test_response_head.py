"""Heads as sites write them, and as browsers read them."""

import pytest

from parser_service.fetching.response_head import find_end, is_informational, mend

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Content-Type: text/html\r\nContent-Length: 5\r\n",
        b"content-type:text/html\r\nX-Length: Content-Length\r\n",
        b"Empty:\r\nX: a \xe9 b\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_a_clean_head_is_left_alone(lines: bytes) -> None:
    assert mend(OK + lines + b"\r\n") is None


@pytest.mark.parametrize(
    ("lines", "mended"),
    [
        (b"no colon\r\nA: b\r\n", b"A: b\r\n"),
        (b"A : b\r\n", b"A: b\r\n"),
        (b"A B: c\r\nD: e\r\n", b"D: e\r\n"),
        (b": a\r\nB: c\r\n", b"B: c\r\n"),
        (b"A: b\r\n  c\r\n\td\r\n", b"A: b c d\r\n"),
        (b" begins with a blank\r\nA: b\r\n", b"A: b\r\n"),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", b"Content-Length: 5\r\n"),
        (b"A: b\r\ncontent-length: 5, 5\r\nno\r\n", b"A: b\r\nContent-Length: 5\r\n"),
        (
            b"Content-Length: 5\r\nContent-Length: 6\r\n",
            b"Content-Length: 5\r\nContent-Length: 6\r\n",
        ),
        (b"A: b\nno colon\n", b"A: b\r\n"),
        (b"A: b\rc\r\r\n", b"A: b c\r\n"),
        (
            b"A: b\r\nContent-Length: 5, 6\r\n",
            b"A: b\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        ),
        (b"A: b\r\nContent-Length: \r\n", b"A: b\r\n"),
        (b"A: b\r\nContent-Length: 17 bytes\r\n", b"A: b\r\n"),
        (b"Content-Length: -1\r\nContent-Length: x\r\nA: b\r\n", b"A: b\r\n"),
        (
            b"Content-Length: 5\r\nTransfer-Encoding: Chunked\r\n",
            b"Transfer-Encoding: Chunked\r\n",
        ),
        (b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", b"Content-Length: 5\r\n"),
        (b"Transfer-Encoding: identity\r\nA: b\r\n", b"A: b\r\n"),
    ],
)
def test_a_head_is_mended_as_browsers_read_it(lines: bytes, mended: bytes) -> None:
    assert mend(OK + lines + b"\r\n") == OK + mended + b"\r\n"


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
def test_the_end_of_a_head_is_found_wherever_it_is_cut(end: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nA: b" + end
    for cut in range(len(head)):
        assert find_end(head[:cut], 0) == -1
        assert find_end(head + b"body", cut) == len(head)
    assert find_end(head, 0) == len(head)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(b"100 Continue", True), (b"103", True), (b"101 Switching", False), (b"200 OK", False)],
)
def test_informational_heads(status: bytes, expected: bool) -> None:
    assert is_informational(b"HTTP/1.1 " + status + b"\r\n\r\n") is expected
