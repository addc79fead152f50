"""Determine the character encoding of a page as a browser does.

The HTML Standard's "encoding sniffing algorithm" (13.2.3.2): a byte order mark, then the
Content-Type header, then a `<meta>` in the first 1024 bytes. A `<meta>` further down needs
the parsed page, and the last guess needs all bytes; `parser.py` calls the steps in turn.
"""

import re

import webencodings

PRESCAN_BYTES = 1024
DEFAULT_ENCODING = "windows-1252"

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xfe\xff", "utf-16be"),
    (b"\xff\xfe", "utf-16le"),
)
# The same section: an XML declaration in UTF-16 without a mark.
_UTF16_XML = ((b"<\0?\0x\0", "utf-16le"), (b"\0<\0?\0x", "utf-16be"))


def by_label(label: str | None) -> str | None:
    """Return the name of the encoding that has a label in the Encoding Standard."""
    encoding = webencodings.lookup(label) if label else None
    return encoding.name if encoding else None


def by_byte_order_mark(body: bytes) -> str | None:
    """Return the encoding of a leading byte order mark."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if body.startswith(mark)), None)


def by_prescan(body: bytes) -> str | None:
    """Prescan the first bytes for an encoding (HTML Standard, "prescan a byte stream")."""
    head = body[:PRESCAN_BYTES]
    for start, name in _UTF16_XML:
        if head.startswith(start):
            return name
    try:
        return _run_prescan(head)
    except _PrescanCutShortError:
        return by_xml_declaration(head)


def by_meta(attributes: dict[str, str]) -> str | None:
    """Return the encoding that a `<meta>` with these attributes declares, if any."""
    label = attributes.get("charset")
    if label is None and attributes.get("http-equiv", "").lower() == "content-type":
        label = _label_in(attributes.get("content", ""))
    name = by_label(label)
    # A page whose <meta> can be read as ASCII is not in UTF-16, whatever it declares.
    if name in ("utf-16be", "utf-16le"):
        return "utf-8"
    return "windows-1252" if name == "x-user-defined" else name


def by_xml_declaration(body: bytes) -> str | None:
    """Return the encoding of an XML declaration (HTML Standard, "get an XML encoding")."""
    found = _XML_DECLARATION.match(body)
    if found is None:
        return None
    name = by_label(found[2].decode("latin-1").strip())
    return "utf-8" if name in ("utf-16be", "utf-16le") else name


def by_guess(body: bytes) -> str:
    """Guess: UTF-8 if the bytes are valid UTF-8, else the fallback of browsers."""
    if body.isascii():
        return DEFAULT_ENCODING
    try:
        body.decode()
    except UnicodeDecodeError:
        return DEFAULT_ENCODING
    return "utf-8"


class _PrescanCutShortError(Exception):
    """The first bytes end inside a tag or comment."""


_META = re.compile(rb"<meta[\t\n\x0c\r /]", re.IGNORECASE)
_TAG = re.compile(rb"</?[A-Za-z][^\t\n\x0c\r >]*")
_OTHER_MARKUP_START = re.compile(rb"<[!/?]")
_ATTRIBUTE_NAME_AND_EQUALS = re.compile(
    rb"[\t\n\x0c\r /]*"
    rb"(?P<name>[^\t\n\x0c\r />][^\t\n\x0c\r />=]*)"
    rb"(?P<equals>[\t\n\x0c\r ]*=[\t\n\x0c\r ]*)?"
)
_UNQUOTED_VALUE = re.compile(rb"[^\t\n\x0c\r >]*")
_CLOSING_BRACKET = re.compile(rb"[\t\n\x0c\r /]*>")
_XML_DECLARATION = re.compile(rb"<\?xml[^>]*?encoding[\x00-\x20]*=[\x00-\x20]*([\"'])([^\"'>]*)\1")
_CHARSET_EQUALS = re.compile(r"charset[\t\n\x0c\r ]*=[\t\n\x0c\r ]*", re.IGNORECASE)


def _run_prescan(head: bytes) -> str | None:
    position = 0
    while (position := head.find(b"<", position)) != -1:
        if head.startswith(b"<!--", position):
            position = _position_after(head, b"-->", position + 2)
        elif tag := _META.match(head, position):
            attributes, position = _attributes(head, tag.end() - 1)
            if name := by_meta(attributes):
                return name
        elif tag := _TAG.match(head, position):
            _, position = _attributes(head, tag.end())
        elif _OTHER_MARKUP_START.match(head, position):
            position = _position_after(head, b">", position)
        else:
            position += 1
    return by_xml_declaration(head)


def _position_after(head: bytes, mark: bytes, position: int) -> int:
    """Return the position after the next mark.

    Raises:
        _PrescanCutShortError: there is none.
    """
    found = head.find(mark, position)
    if found == -1:
        raise _PrescanCutShortError
    return found + len(mark)


def _attributes(head: bytes, position: int) -> tuple[dict[str, str], int]:
    """Read attributes until the tag ends (HTML Standard, "get an attribute"); the first wins.

    Returns:
        The attributes, with names in lower case, and the position after the tag.
    """
    attributes: dict[str, str] = {}
    while not (end := _CLOSING_BRACKET.match(head, position)):
        found = _ATTRIBUTE_NAME_AND_EQUALS.match(head, position)
        if found is None:
            raise _PrescanCutShortError
        value, position = (
            _attribute_value(head, found.end()) if found["equals"] else (b"", found.end())
        )
        attributes.setdefault(found["name"].lower().decode("latin-1"), value.decode("latin-1"))
    return attributes, end.end()


def _attribute_value(head: bytes, position: int) -> tuple[bytes, int]:
    quote = head[position : position + 1]
    if quote in (b'"', b"'"):
        end = _position_after(head, quote, position + 1)
        return head[position + 1 : end - 1], end
    unquoted = _UNQUOTED_VALUE.match(head, position)
    assert unquoted  # noqa: S101 - a pattern that also matches nothing always matches
    return unquoted[0], unquoted.end()


def _label_in(content: str) -> str | None:
    """Extract a label (HTML Standard, "extracting a character encoding from a meta element")."""
    found = _CHARSET_EQUALS.search(content)
    if found is None:
        return None
    rest = content[found.end() :]
    if rest[:1] in ("'", '"'):
        value, quote, _ = rest[1:].partition(rest[0])
        return value if quote else None
    return re.split(r"[\t\n\x0c\r ;]", rest, maxsplit=1)[0]
