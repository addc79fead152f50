"""Legacy encodings where Python's codecs and the Encoding Standard differ."""

import pytest
import webencodings

from parser_service.markup.charset import by_label
from parser_service.markup.decoders import decode

_ENCODINGS = [webencodings.lookup(label) for label in webencodings.LABELS]


@pytest.mark.parametrize(
    ("name", "body", "text"),
    [
        ("windows-1252", b"\x80\x81\x9f\xe9", "\u20ac\x81\u0178\u00e9"),
        ("windows-1253", b"\xaa\xd2\xff", "\ufffd" * 3),
        ("windows-1255", b"\xca\xd9", "\u05ba\ufffd"),
        ("windows-874", b"\x9f\xdb", "\x9f\ufffd"),
        ("koi8-u", b"\xae\xbe", "\u045e\u040e"),
        ("iso-8859-8-i", b"\xe0", "\u05d0"),
        ("macintosh", b"\xdb", "\u20ac"),
        ("x-mac-cyrillic", b"\xa2", "\u0490"),
        ("x-user-defined", b"a\x80\xff", "a\uf780\uf7ff"),
        ("gbk", b"\x80\xa1\xa1\x81\x30\x81\x30", "\u20ac\u3000\x80"),
        ("gb18030", b"\xa8\xbc\xa6\xd9\xfe\x59", "\u1e3f\ufe10\u9fb4"),
        ("gb18030", b"a\x81\x30", "a\ufffd"),
        ("big5", b"\x87\x7a\xa1\x45\xa4\x40", "\u3875\u2027\u4e00"),
        ("big5", b"\x88\x62", "\u00ca\u0304"),
        ("euc-jp", b"\xa1\xc1\xad\xa1\x8e\xb1\x8f\xb0\xa1", "\uff5e\u2460\uff71\u4e02"),
        ("euc-jp", b"\xa1\xdd\xa1\xf1\xf9\xa1", "\uff0d\uffe0\u7e8a"),
        ("shift_jis", b"\x80\xa0\xfd\x87\x40\x81\x60", "\x80\ufffd\ufffd\u2460\uff5e"),
        ("euc-kr", b"\xc8\xfe\x81\x41", "\ud79d\uac02"),
        (
            "iso-2022-jp",
            b'\x1b$B$"-!\x1b(B<p>\x1b(I1\x1b(J\\~',
            "\u3042\u2460<p>\uff71\u00a5\u203e",
        ),
        ("utf-16le", b"\xff\xfea\0\0\xd8b\0c", "a\ufffdb\ufffd"),
        ("utf-16be", b"\0a\xd8\0\0b", "a\ufffdb"),
        (
            "utf-8",
            b"\xef\xbb\xbfa\xed\xa0\x80\xf0\x9f\x98\x80\xff",
            "a\ufffd\ufffd\ufffd\U0001f600\ufffd",
        ),
        ("replacement", b"anything", "\ufffd"),
        ("replacement", b"", ""),
    ],
)
def test_bytes_are_read_as_the_standard_says(name: str, body: bytes, text: str) -> None:
    assert decode(body, name) == text


@pytest.mark.parametrize("name", ["gbk", "big5", "euc-jp", "shift_jis", "euc-kr", "gb18030"])
def test_markup_behind_half_a_character_is_markup(name: str) -> None:
    assert decode(b"\x81<b>", name) == "\ufffd<b>"


def test_every_label_has_a_decoder() -> None:
    assert len(webencodings.LABELS) == 228
    for label, name in webencodings.LABELS.items():
        assert by_label(f"\t{label.upper()} ") == name
        assert isinstance(decode(bytes(range(256)), name), str)


def test_what_is_no_label_is_none() -> None:
    for label in ("", "utf8x", "utf-8\0", "\u212aoi8-r", None):
        assert by_label(label) is None


@pytest.mark.parametrize("name", sorted({encoding.name for encoding in _ENCODINGS}))
def test_a_decoded_page_can_be_stored_if_its_bytes_have_no_nul(name: str) -> None:
    pairs = [bytes((first, second)) for first in range(1, 256) for second in range(1, 256)]
    for body in (b" ".join(pairs), b"".join(pairs), b"\x1b$B" + b"".join(pairs)):
        text = decode(body, name)
        assert "\0" not in text
        text.encode()
