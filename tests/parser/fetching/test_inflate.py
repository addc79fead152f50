"""Content encodings, undone with a limit."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_service.exceptions import BadContentEncodingError
from parser_service.fetching.inflate import MAX_GZIP_MEMBERS, PIECE_BYTES, Decoder, decoder_for

TEXT = b"some page " * 1000


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def _decode(decoder: Decoder, data: bytes, *, step: int) -> bytes:
    pieces = [
        piece
        for start in range(0, len(data), step)
        for piece in decoder.decode(data[start : start + step])
    ]
    decoder.check_complete()
    return b"".join(pieces)


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
        ("gzip", gzip.compress(TEXT[:99], mtime=0) + gzip.compress(TEXT[99:], mtime=0)),
        (
            "gzip",
            b"".join(gzip.compress(TEXT[n : n + 99], mtime=0) for n in range(0, len(TEXT), 99)),
        ),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"\x1f\x8c" + gzip.compress(TEXT, mtime=0)),
        ("gzip", gzip.compress(TEXT, mtime=0) + bytes(512)),
        ("deflate", zlib.compress(TEXT) + b"junk behind the end"),
        ("none", TEXT),
        ("UTF-8", TEXT),
        ("x", TEXT),
        ("none, gzip", gzip.compress(TEXT, mtime=0)),
        ("gzip", b""),
    ],
)
def test_what_was_offered_is_undone(encoding: str, data: bytes, step: int) -> None:
    assert _decode(decoder_for(encoding), data, step=step) == (TEXT if data else b"")


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "gzip, gzip", "gzip," * 1000 + "gzip", "compress"]
)
def test_what_was_not_offered_is_refused(encoding: str) -> None:
    with pytest.raises(BadContentEncodingError):
        decoder_for(encoding)


def test_a_bomb_goes_off_piece_by_piece() -> None:
    pieces = decoder_for("gzip").decode(gzip.compress(bytes(50_000_000)))
    assert [len(next(pieces)) for _ in range(3)] == [PIECE_BYTES] * 3


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


@pytest.mark.parametrize(
    ("encoding", "data"), [("gzip", gzip.compress(TEXT, mtime=0)), ("deflate", zlib.compress(TEXT))]
)
def test_a_stream_says_when_nothing_of_it_can_follow(encoding: str, data: bytes) -> None:
    decoder = decoder_for(encoding)
    states = []
    for piece in (data[:-1], data[-1:] + b"junk"):
        list(decoder.decode(piece))
        states.append(decoder.is_complete)
    assert states == [False, True]
    assert list(decoder.decode(data)) == []


def test_members_of_gzip_are_bounded() -> None:
    decoder = decoder_for("gzip")
    with pytest.raises(BadContentEncodingError):
        list(decoder.decode(gzip.compress(b"") * (MAX_GZIP_MEMBERS + 1)))


@given(st.binary(max_size=2000), st.integers(1, 50))
def test_no_piece_is_large(data: bytes, step: int) -> None:
    for encoding in ("gzip", "deflate"):
        decoder = decoder_for(encoding)
        for start in range(0, len(data), step):
            try:
                pieces = list(decoder.decode(data[start : start + step]))
            except BadContentEncodingError:
                break
            assert all(len(piece) <= PIECE_BYTES for piece in pieces)


@given(st.binary(max_size=5000), st.integers(1, 1000))
def test_what_was_compressed_comes_back(data: bytes, step: int) -> None:
    assert _decode(decoder_for("gzip"), gzip.compress(data), step=step) == data
    assert _decode(decoder_for("deflate"), zlib.compress(data), step=step) == data
