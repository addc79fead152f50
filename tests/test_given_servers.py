"""Tests never touch a server that is not theirs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from local.valkey import Valkey
from tests.support.servers import MARKER, with_number
from tests.support.system import ROOT

pytestmark = pytest.mark.slow
NEEDS_REDIS = "tests/api/queueing/test_chores.py"


@pytest.fixture
def given(tmp_path: Path) -> Iterator[Valkey]:
    """Start a Redis of somebody else."""
    server = Valkey(tmp_path, durable=False)
    server.start()
    yield server
    server.stop()


def _run_tests(**environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "TEST_DATABASE_URL", "TEST_REDIS_URL"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", NEEDS_REDIS],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _client(server: Valkey, number: int = 1) -> redis.Redis:
    return redis.Redis.from_url(with_number(server.url, number))


def test_the_servers_that_somebody_works_with_are_left_alone(given: Valkey) -> None:
    with _client(given) as client:
        client.set("precious", "1")
        nowhere = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
        result = _run_tests(REDIS_URL=given.url, DATABASE_URL=nowhere)
        assert result.returncode == 0, result.stdout
        assert client.keys() == [b"precious"]


def test_a_database_that_holds_keys_of_others_is_not_emptied(given: Valkey) -> None:
    with _client(given) as client:
        client.set("precious", "1")
        result = _run_tests(TEST_REDIS_URL=given.url)
        assert result.returncode == 2
        assert "TEST_REDIS_URL: database 1 of this Redis holds keys" in result.stdout
        assert client.keys() == [b"precious"]


@pytest.mark.parametrize("was_killed", [False, True])
def test_a_database_that_is_empty_or_ours_is_used_and_left_empty(
    given: Valkey, was_killed: bool
) -> None:
    with _client(given) as client, _client(given, 0) as other:
        other.set("precious", "1")
        if was_killed:
            client.set("left by a killed test", "1")
            other.set(MARKER.format(1), "in use")
        result = _run_tests(TEST_REDIS_URL=given.url)
        assert result.returncode == 0, result.stdout
        assert client.keys() == []
        assert other.keys() == [b"precious"]
