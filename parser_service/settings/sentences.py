"""Say what is wrong with a setting, and what to write instead."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from parser_service.settings.kinds import FormatInWords, Unit

MAX_SHOWN_VALUE_LENGTH = 100
"""Characters of a value that are shown."""


def explain_error(item: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """Explain one error of pydantic in words of ours.

    The value of a URL is not shown, since it may hold a password, nor is a token.

    Args:
        item: the error, as `ValidationError.errors` lists it.
        fields: the settings, by name.
    """
    name = str(item["loc"][0])
    is_hidden = name.endswith(("_url", "_token"))
    value = "" if is_hidden else f" is {str(item['input'])[:MAX_SHOWN_VALUE_LENGTH]!r}"
    if item["type"] == "value_error":  # one of our own validators found the words
        reason = str(item["ctx"]["error"])
        return f"{name.upper()}{value}: {reason}{'' if reason.endswith('?') else '.'}"
    return (
        f"{name.upper()}{value or ' is wrong'}; it must be {describe_wanted_value(fields[name])}."
    )


def describe_wanted_value(field: FieldInfo) -> str:
    """Say what a setting must be."""
    form = next((item.words for item in field.metadata if isinstance(item, FormatInWords)), None)
    if form is not None:
        return form
    if get_origin(field.annotation) is Literal:
        return _any_of(get_args(field.annotation))
    if field.annotation is bool:
        return "true or false"
    unit = next((item.name for item in field.metadata if isinstance(item, Unit)), "")
    if field.annotation is int:
        unit = f"a whole number of {unit}" if unit else "a whole number"
    return f"{unit or 'a number'} {describe_limits(field)}"


def describe_limits(field: FieldInfo) -> str:
    """Say the least and the most of a number; a limit of its own replaces that of its kind."""
    found = {
        name: f"{getattr(item, name):.15g}"
        for item in field.metadata
        for name in ("gt", "ge", "le")
        if getattr(item, name, None) is not None
    }
    if "gt" in found:
        return f"above {found['gt']}, at most {found['le']}"
    return f"from {found['ge']} to {found['le']}"


def _any_of(choices: Sequence[str]) -> str:
    *others, last = choices
    return f"{', '.join(others)} or {last}"
