"""Cut the text of a page where its elements may nest too deep for the parser.

lexbor's time grows with the square of the depth: 300,000 nested elements take a minute. What a
page says about itself stands at its beginning, so the facts are read from there; the HTML that
clients get stays whole.
"""

MAX_OPEN_ELEMENTS = 12_000
"""Elements that may be open at a time, counted as if none ended without its end tag."""
BLOCK_LENGTH = 8 * 1024
"""Characters whose tags are counted at once; the depth is known to a tag in each three of them."""


def cut_where_too_deep(text: str) -> str:
    """Return the text up to where it may nest too deep; most texts as they are."""
    # The shortest tag has three characters.
    if len(text) <= 3 * MAX_OPEN_ELEMENTS or text.count("<") <= MAX_OPEN_ELEMENTS:
        return text
    depth = 0
    for start in range(0, len(text), BLOCK_LENGTH):
        end_tags = text.count("</", start, start + BLOCK_LENGTH)
        start_tags = text.count("<", start, start + BLOCK_LENGTH) - end_tags
        if depth + start_tags > MAX_OPEN_ELEMENTS:
            return text[:start]
        depth = max(0, depth + start_tags - end_tags)
    return text
