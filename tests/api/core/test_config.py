"""Settings: what they take, and what they say of what they do not take."""

from pathlib import Path

import pytest

from api_service.config import Settings


def _set(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_the_database_is_named_in_the_form_that_each_library_takes(scheme: str) -> None:
    settings = Settings(database_url=f"{scheme}://user:a%3A%2F%2Fb@host:1/name")
    place = {"host": ["host"], "port": [1], "database": "name"}
    login = {"user": "user", "password": "a://b"}
    assert settings.database_address.driver_arguments == place | login
    assert settings.database_address.engine_arguments == place | login


def test_alive_files_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALIVE_FILE", "RESULTS_ALIVE_FILE", "BEAT_ALIVE_FILE"):
        monkeypatch.delenv(name, raising=False)
    none = Settings.load_or_exit()
    assert (none.alive_file, none.results_alive_file, none.beat_alive_file) == (None, None, None)
    _set(monkeypatch, ALIVE_FILE="/a", RESULTS_ALIVE_FILE="/b", BEAT_ALIVE_FILE="")
    some = Settings.load_or_exit()
    files = (some.alive_file, some.results_alive_file, some.beat_alive_file)
    assert files == (Path("/a"), Path("/b"), None)


def test_each_invalid_variable_is_named_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, DATABASE_URL="mysql://user:secret@host/name", REDIS_URL="host:6379")
    _set(monkeypatch, METRICS_PORT="65535", MAX_ATTEMPTS="many")
    with pytest.raises(SystemExit) as ended:
        Settings.load_or_exit()
    assert str(ended.value).splitlines() == [
        "DATABASE_URL: not a PostgreSQL URL; write postgresql+asyncpg://user:password@host/name.",
        (
            "REDIS_URL: not a Redis URL; write redis://host:6379/0, or rediss:// with TLS, "
            "or unix:///path/of/redis.sock."
        ),
        "MAX_ATTEMPTS is 'many'; it must be a whole number from 1 to 100.",
        "METRICS_PORT is '65535'; it must be a whole number from 0 to 65534.",
    ]
    assert "secret" not in str(ended.value)
