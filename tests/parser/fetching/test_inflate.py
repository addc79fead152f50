"""Content encodings, undone with a limit."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_service.exceptions import BadContentEncodingError, TooLargeError
from parser_service.fetching.inflate import Decoder, decoder_for

TEXT = b"some page " * 1000


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def _decode(decoder: Decoder, data: bytes, *, step: int, room: int = 1 << 20) -> bytes:
    out = b""
    for start in range(0, len(data), step):
        out += decoder.feed(data[start : start + step], room - len(out))
    decoder.check_complete()
    return out


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("X-GZIP", gzip.compress(TEXT, mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", _raw_deflate(TEXT)),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"junk behind the end"),
        ("gzip", b""),
    ],
)
def test_what_was_offered_is_undone(encoding: str, data: bytes, step: int) -> None:
    assert _decode(decoder_for(encoding), data, step=step) == (TEXT if data else b"")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip," * 1000 + "gzip", "x"])
def test_what_was_not_offered_is_refused(encoding: str) -> None:
    with pytest.raises(BadContentEncodingError):
        decoder_for(encoding)


def test_a_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    decoder = decoder_for("gzip")
    with pytest.raises(TooLargeError):
        _decode(decoder, bomb, step=10_000, room=1_000_000)


def test_a_plain_body_stops_at_the_limit() -> None:
    with pytest.raises(TooLargeError):
        _decode(decoder_for(""), TEXT, step=100, room=len(TEXT) - 1)
    assert _decode(decoder_for(""), TEXT, step=100, room=len(TEXT)) == TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"not gzip at all",
        gzip.compress(TEXT, mtime=0)[:-20],
        gzip.compress(TEXT, mtime=0)[:20] + b"x" * 50,
    ],
)
def test_broken_gzip_is_an_error(data: bytes) -> None:
    with pytest.raises(BadContentEncodingError):
        _decode(decoder_for("gzip"), data, step=16)


@given(st.binary(max_size=2000), st.integers(1, 50), st.integers(0, 3000))
def test_no_input_yields_more_than_the_limit(data: bytes, step: int, room: int) -> None:
    for encoding in ("gzip", "deflate", ""):
        try:
            out = _decode(decoder_for(encoding), data, step=step, room=room)
        except (BadContentEncodingError, TooLargeError):
            continue
        assert len(out) <= room


@given(st.binary(max_size=5000), st.integers(1, 1000))
def test_what_was_compressed_comes_back(data: bytes, step: int) -> None:
    assert _decode(decoder_for("gzip"), gzip.compress(data), step=step) == data
    assert _decode(decoder_for("deflate"), zlib.compress(data), step=step) == data
