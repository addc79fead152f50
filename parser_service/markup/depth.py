"""Cut the text of a page where its elements may nest too deep for the parser.

lexbor's time grows with the square of the depth: 300,000 nested elements take a minute. What a
page says about itself stands at its beginning, so the facts are read from there; the HTML that
clients get stays whole.
"""

import re
from collections.abc import Callable

MAX_OPEN_ELEMENTS = 12_000
"""Elements that may be open at a time, counted as if most ended only with an end tag."""
MAX_OPEN_BESIDE_FLAT = MAX_OPEN_ELEMENTS // 4
"""The same without those that do not nest in each other: a few of them may be in each element."""
BLOCK_LENGTH = 8 * 1024
"""Characters whose tags are counted at once; the depth is known to a tag in each three of them."""

# Elements without content, and those that end where the next of them begins: between two open
# ones there is another element, which is counted.
_FLAT_EVERYWHERE = "br|hr|img|embed|meta|p|li|dd|dt"
_FLAT_IN_HTML = "area|base|col|input|link|param|source|track|wbr|td|th|tr|tbody|option"
# In SVG and MathML the latter nest like all others; the former end these (HTML Standard, 13.2.6.5).
_FOREIGN = re.compile("<(?:svg|math)", re.IGNORECASE)
_FLAT_BESIDE_FOREIGN = re.compile(rf"<(?:{_FLAT_EVERYWHERE})(?=[\s/>])", re.IGNORECASE)
_FLAT = re.compile(rf"<(?:{_FLAT_EVERYWHERE}|{_FLAT_IN_HTML})(?=[\s/>])", re.IGNORECASE)


def cut_where_too_deep(text: str) -> str:
    """Return the text up to where it may nest too deep; most texts as they are."""
    # The shortest tag has three characters.
    if len(text) <= 3 * MAX_OPEN_ELEMENTS or text.count("<") <= MAX_OPEN_ELEMENTS:
        return text
    cut = _cut(text, MAX_OPEN_ELEMENTS, lambda _: 0)
    if cut == len(text):
        return text
    # Few pages come here: this takes ten times as long.
    flat = _FLAT_BESIDE_FOREIGN if _FOREIGN.search(text) else _FLAT
    other_cut = _cut(text, MAX_OPEN_BESIDE_FLAT, lambda block: len(flat.findall(block)))
    return text[: max(cut, other_cut)]


def _cut(text: str, limit: int, count_flat: Callable[[str], int]) -> int:
    """Return where a text may nest too deep, or its end.

    Args:
        text: of a page.
        limit: elements that may be open.
        count_flat: counts start tags of elements that do not nest in each other.
    """
    depth = 0
    for start in range(0, len(text), BLOCK_LENGTH):
        block = text[start : start + BLOCK_LENGTH]
        end_tags = block.count("</")
        # Each tag ends somewhere: scripts that compare numbers have few tags. One may have begun
        # in the block before.
        start_tags = min(block.count("<") - end_tags, block.count(">") + 1) - count_flat(block)
        if depth + start_tags > limit:
            return start
        depth = max(0, depth + start_tags - end_tags)
    return len(text)
