"""docker-compose.yml, .env.example and the services' settings agree."""

import re

import pytest
import yaml

from api_service.config import Settings as ApiSettings
from parser_service.config import Settings as ParserSettings
from tests.compose.stack import ROOT, documented

COMPOSE = (ROOT / "docker-compose.yml").read_text()
SETTINGS = (ApiSettings, ParserSettings)
# Their defaults in the code are for a machine without Docker.
ELSEWHERE = {"DATABASE_URL", "REDIS_URL", "PARSER_URL", "METRICS_HOST", "METRICS_PORT", "API_BIND"}
# In a container the API listens on every address: API_BIND says where clients reach it.
WITHOUT_DOCKER = {"API_HOST"}


def test_env_example_sets_nothing() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_every_setting_is_documented_and_handed_on() -> None:
    names = {name.upper() for settings in SETTINGS for name in settings.model_fields}
    names -= WITHOUT_DOCKER
    # Compose itself names the files that watch processes; no operator chooses them.
    chosen = {name for name in names if not name.endswith("ALIVE_FILE")}
    assert chosen - documented().keys() == set()
    handed_on = set(re.findall(r"^ +([A-Z_]+):", COMPOSE, re.MULTILINE))
    assert names - handed_on == set()


@pytest.mark.parametrize("service", ["api", "worker", "beat", "parser"])
def test_every_client_of_redis_gets_what_tells_it_where_to_look(service: str) -> None:
    """Beat uses TASK_QUEUE as well: the names of Celery's keys depend on it."""
    environment = yaml.safe_load(COMPOSE)["services"][service]["environment"]
    assert {"REDIS_URL", "REDIS_CA_BUNDLE", "TASK_QUEUE", "LOG_LEVEL"} - environment.keys() == set()


def test_the_api_learns_where_its_port_is_published() -> None:
    api = yaml.safe_load(COMPOSE)["services"]["api"]
    [published] = api["ports"]
    bind = api["environment"]["API_BIND"]
    assert published.startswith(f"{bind}:")
    assert "API_HOST" not in api["environment"]
    assert {"AUTH", "ALLOWED_HOSTS", "REGISTRATION", "METRICS_TOKEN"} <= api["environment"].keys()


def test_every_documented_variable_is_used() -> None:
    assert {name for name in documented() if name not in COMPOSE} == set()


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_documented_defaults_are_those_of_the_code(
    settings: type[ApiSettings | ParserSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in documented():
        monkeypatch.delenv(name, raising=False)
    defaults = settings()
    for name, value in documented().items():
        if name not in ELSEWHERE:
            monkeypatch.setenv(name, value)
    assert settings() == defaults


def test_the_documented_defaults_are_those_of_the_compose_file() -> None:
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE))
    named = documented()
    assert {name: named.get(name) for name in defaults} == defaults
