"""Decide where a page is parsed, by measures that take microseconds.

lexbor is fast on pages as people write them, but its time grows with the square of how deep
elements nest and of how many attributes a tag has: 400 KB of `<div>` take five seconds.
"""

from enum import Enum, auto

from parser_service.markup.content_type import Markup
from parser_service.parser import RawPage

MAX_INLINE = 64 * 1024
MAX_IN_THREAD = 256 * 1024
MAX_INLINE_XHTML = 4 * 1024
"""BeautifulSoup, which reads XHTML, is slow, and keeps the interpreter's lock."""
MAX_START_TAGS = 8000
BLOCK = 8 * 1024


class Place(Enum):
    """Where a page is parsed.

    Attributes:
        INLINE: on the event loop.
        THREAD: in a thread of this process.
        CHILD: in a process that can be killed.
    """

    INLINE = auto()
    THREAD = auto()
    CHILD = auto()


def choose_place(page: RawPage) -> Place:
    """Decide where a page is parsed, so that it cannot hold up others."""
    size = len(page.body)
    if page.markup is Markup.XHTML:
        return Place.INLINE if size <= MAX_INLINE_XHTML else Place.CHILD
    if size > MAX_IN_THREAD or not parses_quickly(page.body):
        return Place.CHILD
    return Place.INLINE if size <= MAX_INLINE else Place.THREAD


def parses_quickly(body: bytes) -> bool:
    """Whether no page of such bytes can take long: few elements, and no long tag.

    A tag that spans no block can only have so many attributes, and every block that has a
    `<` in it ends one or begins one.
    """
    if body.count(b"<") - body.count(b"</") > MAX_START_TAGS:
        return False
    return all(
        body.find(b"<", start, start + BLOCK) != -1 for start in range(0, len(body) - BLOCK, BLOCK)
    )
