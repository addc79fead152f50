"""Find elements of a page that show something to its readers, such as a date or a name."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice

from selectolax.lexbor import LexborHTMLParser, LexborNode

from parser_service.markup.text import collapse_whitespace

MARKED = "h1,time,abbr,[itemprop],[rel~=author],[property]:not(meta)"
"""Elements whose markup says what they show: headings, times, microdata, RDFa."""
OF_HEAD = frozenset({"title", "base", "meta", "link", "script"})
MAX_AFTER_HEADING = 300
"""Characters after the first heading that are read."""
MAX_MARKED = 200
MAX_TEXT_LENGTH = 500
"""Characters that are kept of an element's text."""
MAX_TEXT_READ = 150_000
"""Characters of all elements' texts together: elements within each other have the same text."""
MAX_FOLLOWERS = 60
"""Pieces after an element whose text is read."""
MAX_ANCESTORS = 12
"""Ancestors that are looked at to tell where an element is."""

# What these hold is not of the page itself, but of what is beside it.
_ASIDE_TAGS = frozenset({"aside", "nav", "form"})
_ASIDE_NAMES = re.compile(
    r"\bcomment|comments?\b|related|sidebar|side-bar|teaser|recommend|similar|popular|trending"
    r"|most-?read|carousel|ticker|breaking|next-?post|prev(?:ious)?-?post|see-?also|read-?more"
    r"|more-?(?:news|stories|articles|from)|repl(?:y|ies)\b|reviews?\b",
    re.IGNORECASE,
)
# A page's body often has such words too, for its kind.
_NOT_SHOWN = frozenset({"script", "style", "noscript", "template", "-comment"})
_OUTERMOST = frozenset({"body", "html"})


@dataclass
class TextBudget:
    """Count the characters of text that may still be read of a page."""

    left: int = MAX_TEXT_READ


@dataclass(frozen=True)
class Element:
    """Wrap an element of the parsed page.

    Attributes:
        budget: of the page's text; what is over it is not read.
    """

    node: LexborNode
    budget: TextBudget = field(default_factory=TextBudget, compare=False)

    @cached_property
    def tag(self) -> str:
        """Its name, in lower case."""
        return self.node.tag or ""

    @cached_property
    def attributes(self) -> Mapping[str, str | None]:
        """Its attributes, by their names in lower case."""
        return self.node.attributes

    @cached_property
    def names(self) -> str:
        """Its class and its id."""
        return f"{self.attribute('class')} {self.attribute('id')}"

    def attribute(self, name: str) -> str:
        """Return an attribute's value; empty if it has none."""
        return self.attributes.get(name) or ""

    def words(self, *names: str) -> set[str]:
        """Return the words in attributes that hold lists of them."""
        return {word for name in names for word in self.attribute(name).split()}

    def lines(self) -> list[str]:
        """Return its text, a line for each run of text, within a limit."""
        if self.budget.left <= 0:
            return []
        text = self.node.text(separator="\n")
        self.budget.left -= len(text)
        return list(_lines(text[: 4 * MAX_TEXT_LENGTH]))

    def text(self) -> str:
        """Return its text on one line, within a limit."""
        return " ".join(self.lines())[:MAX_TEXT_LENGTH]

    def within(self, selector: str) -> "Element | None":
        """Return the first element inside this one that a CSS selector finds."""
        own = self.node.mem_id
        found = (node for node in self.node.css(selector) if node.mem_id != own)
        return next((Element(node, self.budget) for node in found), None)

    def lines_after(self, length: int) -> list[str]:
        """Return the text that follows this element, a line for each run, of a length at most."""
        found = ""
        for node in islice(_followers(self.node), MAX_FOLLOWERS):
            if node.tag not in _NOT_SHOWN:
                found += "\n" + node.text(separator="\n")[: 4 * length]
            if len(found) > 4 * length:
                break
        return _within_length(_lines(found[: 4 * length]), length)

    def is_beside(self, other: "Element") -> bool:
        """Return whether this and another element are near each other, as names in a list are."""
        own, others = (
            {node.mem_id for node in islice(_ancestors(e.node), 1, 3)} for e in (self, other)
        )
        return bool(own & others)

    def is_aside(self) -> bool:
        """Return whether this is of something beside the page's content, such as a comment."""
        for above in islice(_ancestors(self.node), MAX_ANCESTORS):
            if above.tag in _OUTERMOST:
                return False
            if above.tag in _ASIDE_TAGS:
                return True
            # Not `attributes`, which reads all of them each time.
            names = (above.attrs.get("class"), above.attrs.get("id"))
            if any(name and _names_aside(name[:MAX_TEXT_LENGTH]) for name in names):
                return True
        return False

    def is_in_article(self) -> bool:
        """Return whether this is inside an article or the main part of the page."""
        ancestors = islice(_ancestors(self.node), MAX_ANCESTORS)
        return any(above.tag in ("article", "main") for above in ancestors)


@lru_cache(maxsize=512)  # the elements of a page have most of their ancestors in common
def _names_aside(name: str) -> bool:
    return _ASIDE_NAMES.search(name) is not None


def _lines(text: str) -> Iterator[str]:
    return (collapse_whitespace(line) for line in text.split("\n") if line and not line.isspace())


def _within_length(lines: Iterator[str], length: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        if length <= 0:
            break
        kept.append(line[:length])
        length -= len(line) + 1
    return kept


def _followers(node: LexborNode) -> Iterator[LexborNode]:
    for above in islice(_ancestors(node), MAX_ANCESTORS):
        if above.tag in _OUTERMOST:
            return
        following = above.next
        while following is not None:
            yield following
            following = following.next


def _ancestors(node: LexborNode) -> Iterator[LexborNode]:
    above: LexborNode | None = node
    while above is not None:
        yield above
        above = above.parent


@dataclass(frozen=True)
class Elements:
    """Find elements of the parsed page, when they are asked for.

    Attributes:
        page: None if there is none.
        budget: of the text of all of them.
    """

    page: LexborHTMLParser | None = None
    budget: TextBudget = field(default_factory=TextBudget)
    _found: dict[str, Sequence[Element]] = field(default_factory=dict)

    @cached_property
    def marked(self) -> Sequence[Element]:
        """The first elements that `MARKED` selects; those of the head are read for themselves."""
        nodes = once(self.page.css(MARKED)) if self.page else ()
        shown = (node for node in nodes if node.tag not in OF_HEAD)
        return [Element(node, self.budget) for node in islice(shown, MAX_MARKED)]

    @cached_property
    def lines_after_heading(self) -> Sequence[str]:
        """The text that follows the first heading, where most pages show names and dates."""
        heading = next((element for element in self.marked if element.tag == "h1"), None)
        return heading.lines_after(MAX_AFTER_HEADING) if heading else ()

    def find(self, selector: str, limit: int) -> Sequence[Element]:
        """Return the first elements that a CSS selector finds, each once, in document order."""
        if selector not in self._found:
            nodes = self.page.css(selector) if self.page else []
            kept = islice(once(nodes), limit)
            self._found[selector] = [Element(node, self.budget) for node in kept]
        return self._found[selector]


def class_with(*words: str) -> str:
    """Return a CSS selector for elements that have one of the words in a class."""
    # Most elements have no class, and so are asked once and not for each word.
    return f"[class]:is({','.join(f'[class*={word}]' for word in words)})"


def once(nodes: Iterable[LexborNode]) -> Iterator[LexborNode]:
    """Return each node once, though several of the selectors in a list found it."""
    last = None
    for node in nodes:
        if node.mem_id != last:
            yield node
        last = node.mem_id
