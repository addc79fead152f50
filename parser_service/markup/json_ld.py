"""Parse JSON-LD: the objects that a page carries in scripts, within limits."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Any, Self

from parser_service.markup import lenient_json
from parser_service.markup.faults import Faults
from parser_service.markup.json_ld_graph import MAX_NODES, Node, by_id, nodes_of, works_of
from parser_service.markup.json_ld_values import MAX_TEXT_LENGTH, first_of, text_of, value_of
from parser_service.markup.text import make_storable_text

MAX_READ_LENGTH = 256 * 1024
"""Characters of JSON-LD that are read of one page, all scripts together."""
MAX_KEPT_LENGTH = 64 * 1024
"""Characters of JSON-LD that are kept of one page; objects that do not fit are left out."""
MAX_DEPTH = 20
"""Levels of objects and lists that are kept; what lies deeper becomes null."""
MIN_MAGNITUDE_KEPT_AS_TEXT = 10**15
"""The magnitude from which numbers are kept as text: other readers would round them."""

_encode = json.JSONEncoder(ensure_ascii=False).encode
_MAYBE_UNSTORABLE = re.compile(r"\\u0000|\\u[dD]|\0")


@dataclass(frozen=True)
class JsonLd:
    """Hold the JSON-LD of a page.

    Attributes:
        read: all objects that were read, those of a list one by one.
        length: characters of the scripts.
        url: the page's own.
        faults: what this service failed on.
    """

    read: Sequence[dict[str, Any]] = ()
    length: int = 0
    url: str = ""
    faults: Sequence[str] = ()

    @classmethod
    def parse(cls, texts: Iterable[str], *, url: str = "") -> Self:
        """Parse the texts of scripts, in the order of the page; skip what is not JSON."""
        read = list(_within_limit(texts))
        faults = Faults()
        objects: list[dict[str, Any]] = []
        for text in read:
            objects += faults.guard("json_ld", partial(_storable_objects, text), [])
        return cls(objects, sum(map(len, read)), url, tuple(faults.told))

    @cached_property
    def objects(self) -> Sequence[dict[str, Any]]:
        """The objects as the page has them, as many as fit."""
        # Written again, JSON is at most twice as long: a blank after each comma and colon.
        if 2 * self.length <= MAX_KEPT_LENGTH:
            return self.read
        return list(_that_fit(self.read))

    @cached_property
    def nodes(self) -> Sequence[Node]:
        """The objects, and those that they have under `@graph` or as their main entity."""
        return list(islice(nodes_of(self.read), MAX_NODES))

    @cached_property
    def works(self) -> Sequence[Node]:
        """The nodes that describe what the page is about, the most important first.

        An article comes before other works, and these before the page itself; the site, people,
        organisations, pictures and comments are not among them.
        """
        return works_of(self.nodes, url=self.url)

    def resolve(self, value: Any) -> Any:
        """Return the node that a mere reference (`{"@id": …}`) means, or the value itself."""
        if isinstance(value, dict) and len(value) <= 2 and isinstance(value.get("@id"), str):
            return self._by_id.get(value["@id"], value)
        return value

    def first_text(
        self, key: str, *alternative_keys_within: str, limit: int = MAX_TEXT_LENGTH
    ) -> str | None:
        """Return the text of the first work that has one under a key.

        Args:
            key: where to look; of a list under it, the first item counts.
            alternative_keys_within: if the value is an object, its text is under the first of
                these that has one.
            limit: characters that are read of the first text, and half, a third and so on of
                the next ones, which count only if those before them turn out to be blank.

        Returns:
            None if no work has the key, or if its value is not text.
        """
        for number, value in enumerate(self._values_of_works(key), start=1):
            if text := text_of(value, *alternative_keys_within, limit=limit // number):
                return text
        return None

    def _values_of_works(self, key: str) -> Iterator[Any]:
        # Each once: many works may refer to one node.
        seen: set[int] = set()
        for work in self.works:
            value = self.resolve(first_of(value_of(work, key)))
            if value is not None and id(value) not in seen:
                seen.add(id(value))
                yield value

    @cached_property
    def _by_id(self) -> Mapping[str, Node]:
        return by_id(self.read)


def _within_limit(texts: Iterable[str]) -> Iterator[str]:
    to_read = MAX_READ_LENGTH
    for text in texts:
        to_read -= len(text)
        if to_read < 0:
            return
        yield text


def _that_fit(objects: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    to_keep = MAX_KEPT_LENGTH
    for found in objects:
        to_keep -= len(_encode(found))
        if to_keep < 0:
            return
        yield found


def _storable_objects(text: str) -> list[dict[str, Any]]:
    return list(_parse_storable_objects(text))


def _parse_storable_objects(text: str) -> Iterator[dict[str, Any]]:
    # The page's own characters are storable but for NUL; only escapes can add what is not.
    clean = make_storable_text if _MAYBE_UNSTORABLE.search(text) else str
    for parsed in lenient_json.values(text):
        for item in parsed if isinstance(parsed, list) else [parsed]:
            cleaned = _storable_value(item, MAX_DEPTH, clean)
            if isinstance(cleaned, dict) and cleaned:
                yield cleaned


def _storable_value(value: Any, depth: int, clean: Callable[[str], str]) -> Any:
    """Make a value storable: no NUL, no infinite number, large numbers as text.

    What is too deep becomes null.
    """
    match value:
        case str():
            return clean(value)
        case bool() | None:
            return value
        case int() | float():
            return value if abs(value) < MIN_MAGNITUDE_KEPT_AS_TEXT else str(value)[:100]
        case dict() if depth:
            return {
                clean(key): _storable_value(item, depth - 1, clean) for key, item in value.items()
            }
        case list() if depth:
            return [_storable_value(item, depth - 1, clean) for item in value]
        case _:
            return None
