"""Decide what kind of document a response is, by its Content-Type headers or first bytes.

The header rules are the WHATWG's: "extract a MIME type" of the Fetch Standard (2.2.3) and
"parse a MIME type" of the MIME Sniffing Standard (4.4); the sniffing is the HTML part of
that standard's section 7.1.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

HTTP_WHITESPACE = "\t\n\r "
MAX_LENGTH = 4096
"""Characters of all Content-Type headers of a response; more of them say nothing."""
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUOTED_STRING_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Markup(StrEnum):
    """List the kinds of document that are parsed."""

    HTML = "text/html"
    XHTML = "application/xhtml+xml"


@dataclass(frozen=True, slots=True)
class ContentType:
    """Hold a MIME type: `type/subtype` in lower case, and its charset parameter if it has one."""

    essence: str
    charset: str | None = None

    @property
    def is_unknown(self) -> bool:
        """Return whether it says as little as no header (MIME Sniffing Standard, section 7)."""
        return self.essence in ("unknown/unknown", "application/unknown", "*/*")

    @property
    def is_xml(self) -> bool:
        """Return whether it says that the body is XML, of whatever kind."""
        return self.essence in ("application/xml", "text/xml")


def extract(values: Sequence[str]) -> ContentType | None:
    """Combine all Content-Type header values of a response into one MIME type."""
    if sum(map(len, values)) > MAX_LENGTH:
        return None
    charset: str | None = None
    found: ContentType | None = None
    for text in _split_values(",".join(values)):
        candidate = parse(text)
        if candidate is None or candidate.essence == "*/*":
            continue
        if found is None or candidate.essence != found.essence or candidate.charset is not None:
            charset = candidate.charset
        found = ContentType(candidate.essence, charset)
    return found


def parse(text: str) -> ContentType | None:
    """Parse one MIME type; return None if the text is not one."""
    essence, _, parameters = text.strip(HTTP_WHITESPACE).partition(";")
    kind, slash, subtype = essence.rstrip(HTTP_WHITESPACE).partition("/")
    if not slash or not _TOKEN.fullmatch(kind) or not _TOKEN.fullmatch(subtype):
        return None
    charset = next((value for name, value in _parameters(parameters) if name == "charset"), None)
    return ContentType(f"{kind}/{subtype}".lower(), charset)


def is_decided_by_start(content_type: ContentType | None) -> bool:
    """Return whether only the first bytes of the body tell what kind of markup it is."""
    return content_type is None or content_type.is_unknown or content_type.is_xml


def markup_of(content_type: ContentType | None, head: bytes) -> Markup | None:
    """Return the kind of markup, or None if the response must not be parsed.

    Args:
        content_type: that of the header.
        head: the first bytes of the body; see `is_decided_by_start`.
    """
    if content_type is None or content_type.is_unknown:
        return Markup.HTML if _looks_like_html(head) else None
    if content_type.is_xml:
        return Markup.XHTML if _XHTML_START.match(_fold_to_ascii(head)) else None
    if content_type.essence in tuple(Markup):
        return Markup(content_type.essence)
    return None


# MIME Sniffing Standard, section 7.1: each pattern ends in a tag-terminating byte.
_HTML_START = re.compile(
    rb"[\t\n\x0c\r ]*(?:<(?:!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE"
    rb"|TITLE|B|BODY|BR|P)[ >]|<!--)",
    re.IGNORECASE,
)
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")


# A browser builds a page from XML whose root is XHTML's. What may stand before it is read once:
# each part ends where it first can, and no part is tried again (possessive).
_XHTML_START = re.compile(
    rb"\s*+(?:(?:<\?(?:[^?]|\?(?!>))*+\?>|<!--(?:[^-]|-(?!->))*+-->"
    rb"|<!DOCTYPE[^\[>]*+(?:\[[^\]]*+\]\s*+)?+>)\s*+)*+"
    rb"<(?:[\w.-]++:)?+html\s[^>]*xmlns(?::[\w.-]++)?+\s*+=\s*+"
    rb"[\"']http://www\.w3\.org/1999/xhtml[\"']"
)


def _looks_like_html(head: bytes) -> bool:
    return _HTML_START.match(_fold_to_ascii(head)) is not None


def _fold_to_ascii(head: bytes) -> bytes:
    """Drop a byte order mark, and what UTF-16 adds to ASCII: the patterns contain nothing else."""
    for mark in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return head[len(mark) :].replace(b"\0", b"")
    return head


def _split_values(text: str) -> Iterator[str]:
    """Split header values at commas outside quoted strings (Fetch, "get, decode, and split")."""
    for value in _split_unquoted(text, ","):
        yield value.strip(HTTP_WHITESPACE)


def _split_unquoted(text: str, separator: str) -> list[str]:
    parts, start, position, quoted = [], 0, 0, False
    while position < len(text):
        character = text[position]
        if quoted and character == "\\":
            position += 1
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    parts.append(text[start:])
    return parts


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    """Iterate over names, in lower case, and values of valid parameters of a MIME type."""
    position = 0
    while position < len(text):
        name_end = _find_any(text, ";=", position)
        name = text[position:name_end].lstrip(HTTP_WHITESPACE).lower()
        position = name_end + 1
        if name_end >= len(text) or text[name_end] == ";":
            continue
        quoted = text[position : position + 1] == '"'
        if quoted:
            value, position = _quoted_string(text, position)
            position = _find_any(text, ";", position) + 1
        else:
            value_end = _find_any(text, ";", position)
            value = text[position:value_end].rstrip(HTTP_WHITESPACE)
            position = value_end + 1
        if (value or quoted) and _TOKEN.fullmatch(name) and _QUOTED_STRING_TEXT.fullmatch(value):
            yield name, value


def _find_any(text: str, characters: str, start: int) -> int:
    """Return the first position of any of the characters, or the text's length."""
    return next((i for i in range(start, len(text)) if text[i] in characters), len(text))


def _quoted_string(text: str, position: int) -> tuple[str, int]:
    """Return the value and the end of a string (Fetch, "collect an HTTP quoted string")."""
    value: list[str] = []
    position += 1
    while position < len(text):
        character = text[position]
        position += 1
        if character == '"':
            break
        if character == "\\" and position < len(text):
            character = text[position]
            position += 1
        value.append(character)
    return "".join(value), position
