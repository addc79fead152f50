"""Decode bytes as the Encoding Standard defines, where Python's own codecs differ.

Python's codecs do the bulk of the work at the speed of C. An error handler supplies what a
codec lacks; a table then corrects what it maps differently. The result was checked against a
browser's `TextDecoder` for every byte, every pair of bytes and the longer sequences that are
characters. Four rare characters still differ (two of Big5, one of EUC-JP, one of GB 18030):
Python's codecs map two byte sequences to each of them, the standard to two characters.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from functools import cache

REPLACEMENT_CHARACTER = "\N{REPLACEMENT CHARACTER}"

# Python's names for legacy encodings, if they differ from the standard's.
_CODECS = {
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "iso-8859-8-i": "iso8859-8",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "windows-874": "cp874",
}

# GB 18030-2022 assigned these characters, which were in the private use area before.
_GB18030_CORRECTIONS = {
    0xE5E5: "\u3000",
    0xE7C7: "\u1e3f",
    0xE78D: "\ufe10",
    0xE78E: "\ufe12",
    0xE78F: "\ufe11",
    **{0xE790 + n: chr(0xFE13 + n) for n in range(7)},
    0xE81E: "\u9fb4",
    0xE826: "\u9fb5",
    0xE82B: "\u9fb6",
    0xE82C: "\u9fb7",
    0xE832: "\u9fb8",
    0xE843: "\u9fb9",
    0xE854: "\u9fba",
    0xE864: "\u9fbb",
}

# Characters that a codec maps differently: the codec's, and the standard's.
_CORRECTIONS: Mapping[str, Mapping[int, str]] = {
    "koi8-u": {0x255D: "\u045e", 0x256C: "\u040e"},
    "gbk": _GB18030_CORRECTIONS,
    "gb18030": _GB18030_CORRECTIONS,
    "big5": {
        0x2022: "\u2027",
        0xFF64: "\ufe51",
        0x203E: "\u00af",
        0x223C: "\uff5e",
        0x2641: "\u2295",
        0x2609: "\u2299",
        0x00A5: "\uffe5",
        0x00A2: "\uffe0",
        0x00A3: "\uffe1",
    },
    "shift_jis": dict.fromkeys(range(0xF8F0, 0xF8F4), REPLACEMENT_CHARACTER),
    "euc-jp": {
        0x301C: "\uff5e",
        0x2016: "\u2225",
        0x2212: "\uff0d",
        0x00A2: "\uffe0",
        0x00A3: "\uffe1",
        0x00AC: "\uffe2",
    },
}


def decode(body: bytes, name: str) -> str:
    """Decode a body and drop its byte order mark; U+FFFD replaces invalid bytes.

    Args:
        body: the bytes.
        name: the encoding's name in the Encoding Standard, in lower case.
    """
    match name:
        case "utf-8":
            return body.removeprefix(codecs.BOM_UTF8).decode(errors="replace")
        case "utf-16le":
            return body.removeprefix(codecs.BOM_UTF16_LE).decode("utf-16-le", "replace")
        case "utf-16be":
            return body.removeprefix(codecs.BOM_UTF16_BE).decode("utf-16-be", "replace")
        case "iso-2022-jp":
            return _decode_iso_2022_jp(body)
        case "x-user-defined":
            return body.decode("latin-1").translate(_USER_DEFINED)
        case "replacement":
            return REPLACEMENT_CHARACTER if body else ""
        case _:
            text = body.decode(_CODECS.get(name, name), _register_error_handler(name))
            corrections = _CORRECTIONS.get(name)
            return text.translate(corrections) if corrections else text


_USER_DEFINED = {byte: 0xF780 + byte - 0x80 for byte in range(0x80, 0x100)}


@cache
def _register_error_handler(name: str) -> str:
    """Register an error handler for what an encoding's codec lacks, and return its name."""
    handler = f"page-parser-{name}"
    if name.startswith("windows-"):
        codecs.register_error(handler, _on_windows_error)
    elif name in _MULTI_BYTE_EXTRAS:
        codecs.register_error(handler, _make_multi_byte_handler(_MULTI_BYTE_EXTRAS[name]))
    else:
        return "replace"
    return handler


def _on_windows_error(error: UnicodeError) -> tuple[str, int]:
    """Map what codecs leave undefined: the standard defines every byte from 0x80 to 0x9F."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - it only ever decodes
    byte = error.object[error.start]
    if byte < 0xA0:
        return chr(byte), error.start + 1
    if byte == 0xCA and error.encoding in ("cp1255", "charmap"):
        return "\u05ba", error.start + 1
    return REPLACEMENT_CHARACTER, error.start + 1


def _make_multi_byte_handler(
    extra: Callable[[bytes], tuple[str, int] | None],
) -> Callable[[UnicodeError], tuple[str, int]]:
    """Make an error handler for an encoding of several bytes per character.

    Of an invalid sequence only the first byte is dropped, as in most software; the standard
    would also drop a second byte that is not ASCII.

    Args:
        extra: returns the character that begins these bytes in the standard but not in
            the codec, and the number of bytes it takes.
    """

    def on_error(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - it only ever decodes
        found = extra(error.object[error.start : error.start + 4])
        text, length = found or (REPLACEMENT_CHARACTER, 1)
        return text, error.start + length

    return on_error


def _gb18030_extras(rest: bytes) -> tuple[str, int] | None:
    """Return the euro sign of GBK, or one U+FFFD for a character that the end cuts off."""
    if rest[0] == 0x80:
        return "\N{EURO SIGN}", 1
    return (REPLACEMENT_CHARACTER, len(rest)) if _CUT_SHORT_GB18030.fullmatch(rest) else None


# A character of four bytes that the end of the page cuts off.
_CUT_SHORT_GB18030 = re.compile(rb"[\x81-\xfe][0-9](?:[\x81-\xfe])?")


@cache
def _big5_supplement() -> Mapping[bytes, str]:
    """Return the characters of the standard's index that Python's HKSCS lacks, by their bytes."""
    known = {}
    for run in _BIG5_SUPPLEMENT_RUNS.split():
        start, _, characters = run.partition(":")
        for pointer, character in enumerate(characters, int(start)):
            lead, trail = divmod(pointer, 157)
            known[bytes((lead + 0x81, trail + (0x40 if trail < 0x3F else 0x62)))] = character
    return known


def _big5_extras(rest: bytes) -> tuple[str, int] | None:
    character = _big5_supplement().get(rest[:2])
    return (character, 2) if character else None


def _euc_jp_extras(rest: bytes) -> tuple[str, int] | None:
    """Decode rows of JIS X 0208 that Microsoft and NEC filled, which Python has in Shift_JIS."""
    if len(rest) < 2 or not (0xA1 <= rest[0] <= 0xFE and 0xA1 <= rest[1] <= 0xFE):
        return None
    row, cell = rest[0] - 0xA1, rest[1] - 0xA1
    if not (row == 12 or 88 <= row <= 91):
        return None
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + 0x9F if row % 2 else cell + (0x40 if cell < 63 else 0x41)
    text = bytes((lead, trail)).decode("cp932", "ignore")
    return (text, 2) if len(text) == 1 and not text.isascii() else None


_MULTI_BYTE_EXTRAS = {
    "gbk": _gb18030_extras,
    "gb18030": _gb18030_extras,
    "big5": _big5_extras,
    "euc-jp": _euc_jp_extras,
}

_ISO_2022_JP_ESCAPES = re.compile(rb"\x1b(?:\(B|\(J|\(I|\$@|\$B)")


def _decode_iso_2022_jp(body: bytes) -> str:
    """Decode the segments between escape sequences, each in its own character set."""
    pieces, state, position = [], b"(B", 0
    for escape in _ISO_2022_JP_ESCAPES.finditer(body):
        pieces.append(_decode_segment(body[position : escape.start()], state))
        state, position = escape[0][1:], escape.end()
    pieces.append(_decode_segment(body[position:], state))
    return "".join(pieces)


def _decode_segment(data: bytes, state: bytes) -> str:
    match state:
        case b"(J":  # JIS X 0201 Roman
            text = data.decode("ascii", "replace")
            return text.replace("\\", "\N{YEN SIGN}").replace("~", "\N{OVERLINE}")
        case b"(I":  # JIS X 0201 katakana
            return "".join(
                chr(byte - 0x21 + 0xFF61) if 0x21 <= byte <= 0x5F else REPLACEMENT_CHARACTER
                for byte in data
            )
        case b"$@" | b"$B":  # JIS X 0208, which EUC-JP writes with the high bits set
            return decode(data.translate(_JIS_TO_EUC_BYTES), "euc-jp")
        case _:
            return data.decode("ascii", "replace")


_JIS_TO_EUC_BYTES = bytes(byte | 0x80 if 0x21 <= byte <= 0x7E else 0xFF for byte in range(256))

# Runs in the Encoding Standard's index: the pointer of the first character, then all of them.
_BIG5_SUPPLEMENT_RUNS = """

1000:㡵𡵓𣚞𦀡㻬𥣞㫵竼龗𤅡𨤍𣇪𠪊𣉞䌊蒄龖鐯䤰蘓墖靊鈘秐稲晠権袝瑌篅枂稬剏遆㓦珄𥶹瓆鿇垳䤯呌䄱𣚎堘穲𧭥讏䚮𦺈䆁𥶙箮𢒼鿈𢓁𢓉𢓌鿉蔄𣖻䂴鿊䓡𪷿拁灮鿋
2082:箸 2088:簆 2103:糎 2114:緒 2123:縝 2148:者 2151:耨 2221:菁
2239:蒨 2244:萏 2303:覦覩 2354:起 2400:都 2413:銹 2477:靜 2498:響
2605:鼖 2673:蔃 2746:兙兛兝兞 2771:鍮 2780:瑹 2990:浧 3087:禛 3259:邗
3301:靝 3436:瀞 3451:嬨 4136:爁 4138:矗 4141:纇 4182:駖 4206:釔
4220:惞 4230:澶 4241:輶 4258:侻 4273:營 4279:鄄 4282:鷰 4294:菏
4329:尐秣 4349:婧 4419:輋 4422:筑 4494:拐 4624:恢 4694:痹 4708:汊
4742:鬮 4748:鼗 4815:僭 4828:弌 4902:蠏 4922:拎 4982:瑨 4992:煢
4997:牐 5432:␀␁␂␃␄␅␆␇␈␉␊␋␌␍␎␏␐␑␒␓␔␕␖␗␘␙␚␛␜␝␞␟␡€ 10942:廴
10946:无 10948:癶 10950:隶 10957:〃仝 19028:倩 19035:偽 19088:包
19096:卄 19112:卿 19162:嘅 19240:婷 19299:幵 19305:廐 19326:彘
19355:悤 19398:撐 19439:晴 19454:杞 19553:沜渝 19557:港 19611:煮
19643:猪 19672:瑜 19697:瓩 19748:砉
"""
