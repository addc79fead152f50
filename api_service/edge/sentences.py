"""Say in plain words what is wrong with a request, and what to write instead."""

from collections.abc import Mapping
from typing import Any

WILDCARD = ""
"""Stands for any member, or for anything that can be wrong with it."""
MAX_MEMBER_NAME_LENGTH = 60
"""Characters of a member's name; a client may choose it."""
MAX_SENTENCE_LENGTH = 300
"""Characters of a sentence."""

_BODY_TEMPLATE = '{{"url": "https://example.com/"}}'
_URL_FORM_SENTENCE = "url must begin with http:// or https://, such as https://example.com/."

SENTENCES: Mapping[tuple[str, str], str] = {
    ("body", "missing"): f"The body is missing; send a JSON object, such as {_BODY_TEMPLATE}.",
    ("body", "json_invalid"): f"The body is not JSON; send an object, such as {_BODY_TEMPLATE}.",
    ("body", "model_attributes_type"): (
        f"Send a JSON object with Content-Type: application/json, such as {_BODY_TEMPLATE}."
    ),
    ("url", "missing"): "url is missing; give a page's address, such as https://example.com/.",
    ("url", "string_too_short"): _URL_FORM_SENTENCE,
    ("url", "string_type"): 'url must be text, such as "https://example.com/".',
    ("wait", WILDCARD): "wait must be from 0 to 30 seconds.",
    ("Idempotency-Key", WILDCARD): (
        "Idempotency-Key: use 1 to 255 visible ASCII characters, without spaces."
    ),
    (WILDCARD, "missing"): "{name} is missing.",
    (WILDCARD, "value_error"): "{name} {error}.",
    (WILDCARD, "int_parsing"): "{name} must be a whole number, such as 42.",
    (WILDCARD, "int_type"): "{name} must be a whole number, such as 42.",
    (WILDCARD, "int_from_float"): "{name} must be a whole number, such as 42.",
    (WILDCARD, "int_parsing_size"): "{name} is too large a number.",
    (WILDCARD, "float_parsing"): "{name} must be a number, such as 1.5.",
    (WILDCARD, "float_type"): "{name} must be a number, such as 1.5.",
    (WILDCARD, "finite_number"): "{name} must be a number, such as 1.5.",
    (WILDCARD, "greater_than"): "{name} must be above {gt}.",
    (WILDCARD, "greater_than_equal"): "{name} must be at least {ge}.",
    (WILDCARD, "less_than"): "{name} must be below {lt}.",
    (WILDCARD, "less_than_equal"): "{name} must be at most {le}.",
    (WILDCARD, "bool_parsing"): "{name} must be true or false.",
    (WILDCARD, "bool_type"): "{name} must be true or false.",
    (WILDCARD, "string_type"): "{name} must be text.",
    (WILDCARD, "string_unicode"): "{name} must be text in valid Unicode.",
    (
        WILDCARD,
        "string_too_short",
    ): "{name} must have at least {min_length:,} characters.",
    (WILDCARD, "string_too_long"): "{name} must have at most {max_length:,} characters.",
    (WILDCARD, "enum"): "{name} must be one of {expected}.",
    (WILDCARD, "literal_error"): "{name} must be one of {expected}.",
    (WILDCARD, "list_type"): "{name} must be a list.",
    (WILDCARD, "model_attributes_type"): "{name} must be an object.",
    (WILDCARD, "model_type"): "{name} must be an object.",
    (WILDCARD, "dict_type"): "{name} must be an object.",
    (WILDCARD, "extra_forbidden"): "{name} is not known here; see /docs.",
    (WILDCARD, WILDCARD): "{name} is malformed; see /docs.",
}
"""A sentence by member and by pydantic's type of error; the first that fits is used.

Its places are filled with the member's name and with what pydantic tells of the limit. The input
is not among it: it may be long, secret or no valid Unicode. For a `value_error` our validator
gives the rest of a sentence that begins with the member's name.
"""


def sentence(error: Mapping[str, Any]) -> str:
    """Return the sentence for an error as pydantic describes it."""
    name = _name(error["loc"])
    kind = error["type"]
    for key in (
        (name, kind),
        (name, WILDCARD),
        (WILDCARD, kind),
        (WILDCARD, WILDCARD),
    ):
        if key in SENTENCES:
            return SENTENCES[key].format(name=name, **error.get("ctx", {}))[:MAX_SENTENCE_LENGTH]
    raise AssertionError


def _name(location: tuple[str | int, ...]) -> str:
    """Name a member by its path, a header as it is usually written, and the body as a whole."""
    place, *path = location
    if place == "body" and not any(isinstance(part, str) for part in path):
        return "body"  # of broken JSON the path is the offset of the fault
    name = ".".join(map(str, path)).encode(errors="replace").decode()[:MAX_MEMBER_NAME_LENGTH]
    return name.title() if place == "header" else name
