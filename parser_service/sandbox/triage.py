"""Decide where a page is parsed, by checks that take microseconds.

lexbor is fast on pages as people write them. Its time and memory grow with a product on others:

- with the square of how deep elements nest: 400 KB of `<div>` take five seconds;
- with the square of how many attributes a tag has: 64 KB of them take a second;
- with the number of formatting elements times that of paragraphs, each of which opens them all
  again (HTML Standard, 13.2.4.3): 36 KB of them take 3 GB;
- with the number of tags times that of open elements: many tags make the parser look through all
  of these (13.2.4.2), end tags without a beginning too;
- with the square of how many attributes all `<html>` and `<body>` tags have, which one element
  collects (13.2.6.4.7).

Python's own work grows with the number of objects that JSON-LD has, only faster than the rest.

Each check is a bound, so no page passes whose cost is above it; some pass that would be cheap.
"""

import re
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from parser_service.markup import charset
from parser_service.markup.content_type import Markup
from parser_service.parser import RawPage

MAX_INLINE_BYTES = 64 * 1024
"""Bytes of HTML that are parsed on the event loop."""
MAX_IN_THREAD_BYTES = 256 * 1024
"""Bytes of HTML that are parsed in a thread."""
MAX_INLINE_XHTML_BYTES = 4 * 1024
"""Bytes of XHTML that are parsed on the event loop. BeautifulSoup, which parses it, is slow and
holds the interpreter's lock, so longer pages go to a child at once."""
MAX_START_TAGS = 8000
"""Start tags above which a page goes to a child."""
MAX_TAGS_OF_EITHER_KIND = 4000
"""Tags up to which it does not matter how many are end tags: their steps are below all bounds."""
MAX_INLINE_STEPS = 10_000_000
"""Steps through open elements, at most, that a page may take on the event loop: 3 to 5 ns each."""
MAX_IN_THREAD_STEPS = 100_000_000
MAX_COLLECTED_TAGS = 2
"""Tags `<html>`, or `<body>`, of a page that is not parsed in a child."""
MAX_INLINE_VALUES = 3000
"""Objects and lists, at most, of JSON-LD that is read on the event loop."""
MAX_PLUS_SIGNS_TRIED = 64
MAX_INLINE_BYTES_NOT_ASCII = 4 * 1024
"""Bytes of pages in whose encoding markup is not what it is in ASCII: these checks are blind."""
MAX_BYTES_BETWEEN_TAG_ENDS = 8 * 1024
"""Bytes in which at least one tag must end for certain: no tag is longer than two times that."""
MAX_INLINE_BYTES_BETWEEN_TAG_ENDS = 3 * 1024
"""The same on the event loop: a tag of 16 KB takes as long as 60 KB of short ones."""
MAX_TAG_ENDS_TRIED = 16
MAX_REOPENED_ELEMENTS = 100_000
"""Elements that formatting elements may become when they are opened again; each has 300 bytes."""

# Formatting elements (HTML Standard, 13.2.4.3) but for `a` and `nobr`, which end one before them;
# of each kind without attributes three are opened again at most. And `html` and `body`.
# In lower case: a pattern that ignores case takes three times as long.
_TAG_OF_NOTE = re.compile(
    rb"<(?:b(?:ig|ody)?|code|em|font|html|i|tt|u|s(?:mall|trike|trong)?)[\s/>]"
)
_COLLECTING = (b"<html", b"<body")
_MOST_WITHOUT_ATTRIBUTES = 3
_CHARSET_LENGTH = len(b"charset")
_BLANKS = b" \t\n\f\r"


class ParseLocation(Enum):
    """List the places where a page can be parsed.

    Attributes:
        INLINE: on the event loop; even the worst short page takes a fraction of a second.
        THREAD: in a thread of this process; lexbor releases the interpreter's lock.
        CHILD: in a process with limits on its time and memory, which can be killed.
    """

    INLINE = auto()
    THREAD = auto()
    CHILD = auto()


def choose_parse_location(page: RawPage) -> ParseLocation:
    """Decide where a page is parsed, so that it cannot hold up others."""
    size = len(page.body)
    if page.markup is Markup.XHTML:
        return ParseLocation.INLINE if size <= MAX_INLINE_XHTML_BYTES else ParseLocation.CHILD
    if size > MAX_IN_THREAD_BYTES:
        return ParseLocation.CHILD
    tags = _Tags.of(page.body)
    if not _parses_quickly(page.body, tags):
        return ParseLocation.CHILD
    if size > MAX_INLINE_BYTES_NOT_ASCII and _may_hide_markup(page):
        return ParseLocation.CHILD
    if _has_json_ld(page.body) and (
        page.body.count(b"{") + page.body.count(b"[") > MAX_INLINE_VALUES
    ):
        return ParseLocation.CHILD
    times = 2 if _may_be_parsed_twice(page) else 1
    is_short = times * size <= MAX_INLINE_BYTES and times * tags.steps <= MAX_INLINE_STEPS
    if is_short and _tags_end_within(page.body, MAX_INLINE_BYTES_BETWEEN_TAG_ENDS):
        return ParseLocation.INLINE
    return ParseLocation.THREAD


def _may_be_parsed_twice(page: RawPage) -> bool:
    """Return whether a page may declare its encoding where only its parser finds it."""
    body = page.body
    if len(body) <= charset.PRESCAN_BYTES or charset.by_label(page.declared_charset):
        return False
    if b"charset" not in body[charset.PRESCAN_BYTES - _CHARSET_LENGTH :].lower():
        return False
    return not (charset.by_byte_order_mark(body) or charset.by_prescan(body))


def _may_hide_markup(page: RawPage) -> bool:
    """Return whether a page's markup may be other than its bytes show.

    UTF-16 is the only encoding that writes ASCII in other bytes. A mark, the header or an XML
    declaration in these bytes says so; a `<meta>` that says so means UTF-8. ISO-2022-JP is the only
    one that has bytes between them which vanish.
    """
    if b"\x1b" in page.body or b"\0" in page.body[:4]:
        return True
    name = charset.by_byte_order_mark(page.body) or charset.by_label(page.declared_charset)
    return name in ("utf-16le", "utf-16be")


def _has_json_ld(body: bytes) -> bool:
    """Return whether `ld+json` is in a page. Few other words of pages have a plus sign."""
    at = -1
    for _ in range(MAX_PLUS_SIGNS_TRIED):
        at = body.find(b"+", at + 1)
        if at == -1:
            return False
        if body[max(0, at - 2) : at + 5].lower() == b"ld+json":
            return True
    return b"ld+json" in body.lower()


@dataclass(frozen=True, slots=True)
class _Tags:
    """Hold the numbers of tags of a page, at most: what looks like one counts."""

    start: int
    end: int

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Count roughly in a page with few tags, which is quicker: all may be start tags."""
        both = body.count(b"<")
        return cls(both, 0) if both <= MAX_TAGS_OF_EITHER_KIND else cls._of_many(body, both)

    @classmethod
    def counted(cls, body: bytes) -> Self:
        """Count each kind, however many there are."""
        return cls._of_many(body, body.count(b"<"))

    @classmethod
    def _of_many(cls, body: bytes, both: int) -> Self:
        end = body.count(b"</")
        return cls(both - end, end)

    @property
    def steps(self) -> int:
        """Return how many steps through open elements they may take.

        A start tag meets those before it, of which there are half of all on average.
        """
        return self.start * (self.start // 2 + self.end)

    def may_reopen_many(self, formatting: int) -> bool:
        """Return whether formatting elements may be opened again too often."""
        # No page has more of the product than if one half of its tags are of each kind.
        is_large = self.start**2 > 4 * MAX_REOPENED_ELEMENTS
        return is_large and formatting * self.start > MAX_REOPENED_ELEMENTS


def parses_quickly(body: bytes) -> bool:
    """Return whether a page of these bytes must parse quickly and in little memory."""
    return _parses_quickly(body, _Tags.of(body))


def _parses_quickly(body: bytes, tags: _Tags) -> bool:
    if tags.start > MAX_START_TAGS or tags.steps > MAX_IN_THREAD_STEPS:
        return False
    found = Counter(_TAG_OF_NOTE.findall(body.lower()))
    if any(_count_beginning(found, tag) > MAX_COLLECTED_TAGS for tag in _COLLECTING):
        return False
    formatting = _count_formatting_elements(found)
    if tags.may_reopen_many(formatting) and _Tags.counted(body).may_reopen_many(formatting):
        return False
    return _tags_end_within(body, MAX_BYTES_BETWEEN_TAG_ENDS)


def _tags_end_within(body: bytes, length: int) -> bool:
    """Return whether in each piece of this length a tag ends for certain, if one is open."""
    starts = range(0, len(body) - length, length)
    return all(_has_tag_end(body, start, start + length) for start in starts)


def _count_beginning(found: Counter[bytes], name: bytes) -> int:
    return sum(number for tag, number in found.items() if tag.startswith(name))


def _count_formatting_elements(found: Counter[bytes]) -> int:
    """Return how many elements a paragraph may open again, at most."""
    return sum(
        min(number, _MOST_WITHOUT_ATTRIBUTES) if tag.endswith(b">") else number
        for tag, number in found.items()
        if not tag.startswith(_COLLECTING)
    )


def _has_tag_end(body: bytes, start: int, end: int) -> bool:
    """Return whether a tag ends for certain between two places, if one is open.

    A `>` ends it unless it is in a quoted value. Then the quote before it follows a `=`.
    """
    at = start
    for _ in range(MAX_TAG_ENDS_TRIED):
        at = body.find(b">", at, end)
        if at == -1:
            return False
        if not (_may_open_value(body, b'"', at) or _may_open_value(body, b"'", at)):
            return True
        at += 1
    return False


def _may_open_value(body: bytes, quote: bytes, before: int) -> bool:
    at = body.rfind(quote, 0, before)
    while at > 0 and body[at - 1] in _BLANKS:
        at -= 1
    return at > 0 and body[at - 1] == ord("=")
