"""Each service names exactly the keys that `docs/wire-contract.md` gives to its side."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from api_service.parser_client import keys as api_keys
from parser_service.redis_queue import keys as parser_keys
from tests.support.keys import QUEUE, RESULTS

CONTRACT = Path(__file__).resolve().parent.parent.parent / "docs" / "wire-contract.md"
ROW = re.compile(r"(?m)^\| `(?P<key>parser:[^`]+)` \| (?P<writer>\w+) \| (?P<reader>\w+) \|")

SERVICES = [
    pytest.param("API", api_keys.Keys(QUEUE, RESULTS), id="api"),
    pytest.param("parser", parser_keys.Keys(QUEUE, RESULTS), id="parser"),
]


def _keys_of(side: str) -> set[str]:
    """Return the keys in the table that a side writes or reads."""
    rows = list(ROW.finditer(CONTRACT.read_text()))
    assert {row[name] for row in rows for name in ("writer", "reader")} == {"API", "parser", "both"}
    return {row["key"] for row in rows if {row["writer"], row["reader"]} & {side, "both"}}


def _names(keys: Any) -> dict[str, str]:
    """Return each member's key by name; a parameter `host` gets the value `{host}`."""
    names = {}
    for member in (name for name in dir(keys) if not name.startswith("_")):
        value = getattr(keys, member)
        if isinstance(value, str):
            names[member] = value
        elif inspect.ismethod(value) and value.__self__ is keys:
            parameters = inspect.signature(value).parameters
            names[member] = value(*(f"{{{parameter}}}" for parameter in parameters))
    return names


def _is_part(member: str) -> bool:
    return member.endswith(("_prefix", "_suffix"))


@pytest.mark.parametrize(("side", "keys"), SERVICES)
def test_a_service_names_the_keys_that_the_contract_gives_to_it(side: str, keys: Any) -> None:
    names = {name for member, name in _names(keys).items() if not _is_part(member)}
    assert names == _keys_of(side)


@pytest.mark.parametrize(("side", "keys"), SERVICES)
def test_parts_of_names_that_scripts_complete_are_parts_of_keys(side: str, keys: Any) -> None:
    for member, part in _names(keys).items():
        if _is_part(member):
            assert any(part in key for key in _keys_of(side)), member


@pytest.mark.parametrize(("side", "keys"), SERVICES)
def test_every_name_follows_from_the_two_settings(side: str, keys: Any) -> None:
    other = type(keys)("other", "else:")
    for member, name in _names(keys).items():
        renamed = name.replace(QUEUE, "other").replace(RESULTS, "else:")
        assert _names(other)[member] == renamed, side
