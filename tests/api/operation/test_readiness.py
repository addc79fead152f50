"""Readiness, part by part, with parts that are silent."""

import asyncio
from typing import cast

import pytest

from api_service.database import Database
from api_service.exceptions import DatabaseUnavailableError
from api_service.operation import readiness
from api_service.operation.readiness import ReadinessCheck
from api_service.parser_client.census import RedisCensus
from api_service.schema import NEWEST_MIGRATION


class _Database:
    def __init__(self, revision: str | Exception | None) -> None:
        self._revision = revision

    async def revision(self) -> str | None:
        if isinstance(self._revision, Exception):
            raise self._revision
        return self._revision


class _Census:
    def __init__(self, parsers: int = 1, workers: int = 1, *, is_silent: bool = False) -> None:
        self._counts = parsers, workers
        self._is_silent = is_silent

    async def count_alive_parsers_and_workers(self) -> tuple[int, int]:
        if self._is_silent:
            await asyncio.sleep(60)
        return self._counts


async def _checks(database: _Database, census: _Census) -> dict[str, str]:
    check = ReadinessCheck(database=cast("Database", database), census=cast("RedisCensus", census))
    answer = await check.run()
    assert (answer.status == "ready") == all(state == "ok" for state in answer.checks.values())
    return answer.checks


async def test_all_parts_are_there() -> None:
    checks = await _checks(_Database(NEWEST_MIGRATION), _Census())
    assert checks == dict.fromkeys(("database", "redis", "parser", "worker"), "ok")


@pytest.mark.parametrize(
    ("revision", "state"),
    [
        ("0001", f"at migration 0001, not {NEWEST_MIGRATION}"),
        (None, f"at migration none, not {NEWEST_MIGRATION}"),
        (DatabaseUnavailableError(), "does not answer"),
    ],
)
async def test_the_state_of_the_database_is_named(
    revision: str | Exception | None, state: str
) -> None:
    assert (await _checks(_Database(revision), _Census()))["database"] == state


async def test_a_database_that_a_newer_version_has_migrated_is_ready() -> None:
    assert (await _checks(_Database("9999"), _Census()))["database"] == "ok"


async def test_a_kind_of_process_that_sends_no_heartbeat_is_named() -> None:
    checks = await _checks(_Database(NEWEST_MIGRATION), _Census(parsers=0))
    assert (checks["parser"], checks["worker"]) == ("none seen in the last 10 s", "ok")


async def test_a_silent_redis_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "CHECK_TIMEOUT_SECONDS", 0.01)
    checks = await _checks(_Database(NEWEST_MIGRATION), _Census(is_silent=True))
    assert checks == {
        "database": "ok",
        "redis": "does not answer",
        "parser": "unknown",
        "worker": "unknown",
    }
