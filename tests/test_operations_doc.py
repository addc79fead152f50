"""docs/operations.md lists every setting, with its default and its limits."""

import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from api_service.config import Settings as ApiSettings
from api_service.settings import sentences as api_sentences
from local import supervisor
from local.addresses import read_address
from parser_service.config import Settings as ParserSettings
from parser_service.settings import sentences as parser_sentences
from tests.compose.stack import documented
from tests.support.system import ROOT

DOCUMENT = (ROOT / "docs" / "operations.md").read_text().partition("\n## PostgreSQL")[0]
ROW = re.compile(r"^\| `([A-Z_]+)` \|([^|]*)\|(?:([^|]*)\|)?[^|]*\|$", re.MULTILINE)
ROWS = {name: (default.strip(), limits.strip()) for name, default, limits in ROW.findall(DOCUMENT)}
SERVICES: tuple[tuple[type[BaseModel], ModuleType], ...] = (
    (ApiSettings, api_sentences),
    (ParserSettings, parser_sentences),
)


def _fields() -> Iterator[tuple[str, FieldInfo, ModuleType]]:
    for settings, sentences in SERVICES:
        for name, field in settings.model_fields.items():
            if not name.endswith("alive_file"):  # listed in the section about them
                yield name.upper(), field, sentences


FIELDS = {name: (field, sentences) for name, field, sentences in _fields()}


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_is_listed_with_its_default_and_its_limits(name: str) -> None:
    field, sentences = FIELDS[name]
    default, limits = ROWS[name]
    is_number = field.annotation in (int, float)
    assert limits == (sentences.describe_limits(field) if is_number else "")
    shown = default.partition(" (compose: ")[0].strip("`")
    if name in ("API_HOST", "API_BIND"):  # whoever starts the API declares them
        assert field.default == ""
    elif field.default in (None, "", ()) or name == "FETCH_CA_BUNDLE":
        assert shown in ("none", "the machine's", "the system's")
    elif name == "FETCH_USER_AGENT":
        assert field.default.startswith(shown.removesuffix("(…)"))
    elif name == "FETCH_ALLOWED_PORTS":
        assert {int(port) for port in shown.split(",")} == field.default
    elif is_number:
        assert float(shown) == field.default
    else:
        assert shown.lower() == str(field.default).lower()


def test_every_variable_of_compose_and_of_make_run_is_listed() -> None:
    assert documented().keys() - ROWS.keys() == set()
    assert {"API_HOST", "PARSER_HOST", "PARSER_PORT", "DATA_DIR"} <= ROWS.keys()


def test_only_variables_that_exist_are_listed() -> None:
    local = {"API_HOST", "API_PORT", "PARSER_HOST", "PARSER_PORT", "DATA_DIR"}
    assert ROWS.keys() == FIELDS.keys() | documented().keys() | local


@pytest.mark.parametrize("name", sorted(documented().keys() - FIELDS.keys()))
def test_a_variable_of_compose_has_the_default_of_env_example(name: str) -> None:
    assert ROWS[name][0].strip("`") == documented()[name]


def test_the_defaults_of_make_run_are_those_of_its_code() -> None:
    for prefix, port in (("API", 8000), ("PARSER", 8001)):
        expected = (ROWS[f"{prefix}_HOST"][0].strip("`"), int(ROWS[f"{prefix}_PORT"][0]))
        assert read_address({}, prefix, port) == expected
    assert float(ROWS["WATCH_SECONDS"][0]) == supervisor.WATCH_SECONDS
    assert f'or "{ROWS["DATA_DIR"][0].strip("`")}"' in (ROOT / "local" / "system.py").read_text()
