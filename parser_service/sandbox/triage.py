"""Decide where a page is parsed, by checks that take microseconds.

lexbor is fast on pages as people write them, but its time grows with the square of how deep
elements nest and of how many attributes a tag has: 400 KB of `<div>` take five seconds.
"""

from enum import Enum, auto

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
MAX_BYTES_BETWEEN_TAGS = 8 * 1024
"""Bytes in which at least one tag must begin or end."""


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
    if size > MAX_IN_THREAD_BYTES or not parses_quickly(page.body):
        return ParseLocation.CHILD
    return ParseLocation.INLINE if size <= MAX_INLINE_BYTES else ParseLocation.THREAD


def parses_quickly(body: bytes) -> bool:
    """Return whether a page of these bytes must parse quickly: few elements, no long tag.

    A `<` in every block bounds the length of each tag, and so the number of its attributes.
    """
    if body.count(b"<") - body.count(b"</") > MAX_START_TAGS:
        return False
    return all(
        body.find(b"<", start, start + MAX_BYTES_BETWEEN_TAGS) != -1
        for start in range(0, len(body) - MAX_BYTES_BETWEEN_TAGS, MAX_BYTES_BETWEEN_TAGS)
    )
