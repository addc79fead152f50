"""Read JSON that others wrote: whatever it is, it can be stored, and what cannot be is left out.

Readers and writers of JSON give up at different depths, and Python's own depends on its version.
So values are cut at one depth, below all of theirs, before anything else is done with them.
"""

import json
import re
from typing import Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import PydanticUseDefault

from api_service.page.facts import ErrorFacts, Metadata, PageFacts

MAX_FACT_DEPTH = 64
"""Levels of lists and objects that a fact may have; deeper ones become null."""
MAX_JSON_DEPTH = 96
"""Levels that a text may have; pydantic refuses 200. Deeper ones become null before parsing."""
MAX_JSON_TOKENS = 1_000_000
"""Strings and brackets in a text that has to be cut: 0.3 s, in which nothing else is done."""
MAX_INTEGER_DIGITS = 4000
"""Digits of a whole number; Python refuses 4300. A longer one becomes null."""

_UNSTORABLE_CHARACTERS = re.compile("[\0\ud800-\udfff]")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_STRING_OR_PUNCTUATION = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{,]', re.DOTALL)
# The closing quote is optional: else what is never closed would be scanned from each quote again.


class LenientMetadata(Metadata):
    """Metadata as somebody wrote it: an invalid member is dropped, the others count.

    Reading ends at the first invalid item: an error for each could take a thousand times the
    memory of what was written. Lists say so with `fail_fast`, and dicts are looked through first.
    """

    @field_validator("open_graph", mode="before")
    @classmethod
    def _require_lists_of_text(cls, value: Any) -> Any:
        if isinstance(value, dict) and not all(map(_is_list_of_text, value.values())):
            raise ValueError("it is a list of texts for each property")
        return value

    @field_validator("twitter_card", mode="before")
    @classmethod
    def _require_texts(cls, value: Any) -> Any:
        if isinstance(value, dict) and not all(isinstance(item, str) for item in value.values()):
            raise ValueError("it is a text for each property")
        return value

    # Runs around the validators above.
    @field_validator("*", mode="wrap")
    @classmethod
    def _default_if_invalid(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except (ValidationError, RecursionError) as error:
            raise PydanticUseDefault from error


class LenientPageFacts(PageFacts):
    """Facts about a page as somebody wrote them: an invalid one is dropped, the others count.

    The same holds for the members of `metadata`.
    """

    @field_validator("metadata", mode="wrap")
    @classmethod
    def _read_metadata_leniently(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        return validate(LenientMetadata.model_validate(value) if isinstance(value, dict) else value)

    # Runs around the validator above, and drops the whole fact.
    @field_validator(*PageFacts.model_fields, mode="wrap")
    @classmethod
    def _storable_or_none(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        return valid_or_none(make_storable_json(value), validate)

    @property
    def facts(self) -> PageFacts:
        """Return the facts alone."""
        return PageFacts.model_construct(
            **{name: getattr(self, name) for name in PageFacts.model_fields}
        )


def valid_or_none(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Drop an invalid value: a wrong fact must not cost the page."""
    try:
        return validate(value)
    except (ValidationError, RecursionError):
        return None


def make_storable_text(text: str) -> str:
    """Replace NUL and lone surrogates, which PostgreSQL's text type rejects."""
    if "\0" not in text:  # this check and encoding are much faster than the substitution
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _UNSTORABLE_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", text)


def make_storable_json(value: Any, depth: int = MAX_FACT_DEPTH) -> Any:
    """Make every string within a JSON value storable, and cut what is deeper than `depth`."""
    match value:
        case str():
            return make_storable_text(value)
        case dict() if depth:
            return {
                make_storable_text(str(key)): make_storable_json(item, depth - 1)
                for key, item in value.items()
            }
        case list() if depth:
            return [make_storable_json(item, depth - 1) for item in value]
        case dict() | list():
            return None
        case _:
            return value


def parse_json_leniently(text: bytes) -> Any:
    """Parse JSON that pydantic refuses, such as lone surrogates; what is too deep becomes null.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(
        _cut_deep(text.decode(json.detect_encoding(text), "surrogatepass")),
        parse_int=_integer_or_none,
    )


def require_few_values(text: bytes) -> None:
    """Refuse JSON of so many values that reading it takes many times its memory, and seconds.

    Raises:
        ValueError: it has more than `MAX_JSON_TOKENS` lists, objects and commas between values.
    """
    if len(text) <= MAX_JSON_TOKENS or sum(map(text.count, (b"[", b"{", b","))) <= MAX_JSON_TOKENS:
        return
    # A page's own commas are within a string.
    found = (text[found.start()] for found in _STRING_OR_PUNCTUATION.finditer(text))
    if any(count > MAX_JSON_TOKENS for count, _ in enumerate(c for c in found if c != ord('"'))):
        raise ValueError("it has too many values")


def read_facts(text: str | None) -> PageFacts:
    """Read the facts of a row, without what is no fact."""
    if text is None:
        return PageFacts()
    try:
        return PageFacts.model_validate_json(text)
    except ValidationError:
        pass
    try:
        return LenientPageFacts.model_validate(parse_json_leniently(text.encode())).facts
    except ValueError:
        return PageFacts()


def read_error(text: str | None) -> ErrorFacts | None:
    """Read why a row has no page: None without a text, `internal_error` if it cannot be read."""
    if text is None:
        return None
    try:
        return ErrorFacts.model_validate_json(text)
    except ValidationError:
        return ErrorFacts(code="internal_error", message="The reason cannot be read.")


def _cut_deep(text: str) -> str:
    """Put null in place of each list and object that is deeper than `MAX_JSON_DEPTH`.

    Raises:
        ValueError: it is cut off itself, or has more than `MAX_JSON_TOKENS`.
    """
    kept = []
    depth = end = 0
    for count, found in enumerate(_STRING_OR_BRACKET.finditer(text)):
        if count > MAX_JSON_TOKENS:
            raise ValueError("it has too many pieces")
        match text[found.start()]:
            case "[" | "{":
                depth += 1
                if depth == MAX_JSON_DEPTH + 1:
                    kept += [text[end : found.start()], "null"]
            case "]" | "}":
                if depth == MAX_JSON_DEPTH + 1:
                    end = found.end()
                depth -= 1
    if depth > MAX_JSON_DEPTH:
        raise ValueError("it ends within a list or an object")
    return "".join([*kept, text[end:]]) if kept else text


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _integer_or_none(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else None
