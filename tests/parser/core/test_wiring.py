"""The parts of the parser are put together as their limits demand."""

import asyncio
from pathlib import Path

import pytest

from parser_service.alive import touch_while_alive
from parser_service.config import Settings
from parser_service.dependencies import (
    REDIS_COMMAND_TIMEOUT_SECONDS,
    make_host_limits_if_set,
    open_listener,
    open_redis,
)
from parser_service.jobs.listener import WAIT_FOR_JOBS_SECONDS
from tests.support.app_client import OpenApp
from tests.support.waiting import until


async def test_a_blpop_that_would_outlast_its_command_is_refused(settings: Settings) -> None:
    assert WAIT_FOR_JOBS_SECONDS < REDIS_COMMAND_TIMEOUT_SECONDS
    with pytest.raises(ValueError, match="BLPOP"):
        async with open_listener(
            settings, name="test", block_seconds=REDIS_COMMAND_TIMEOUT_SECONDS
        ):
            pass


async def test_without_limits_in_the_settings_no_host_is_limited(settings: Settings) -> None:
    none = settings.model_copy(update={"host_max_concurrent": 0, "host_min_interval": 0})
    async with open_redis(settings) as redis:
        assert make_host_limits_if_set(redis, none) is None
        assert make_host_limits_if_set(redis, settings) is not None


async def test_the_http_side_touches_its_file_as_long_as_it_lives(
    open_parser: OpenApp, tmp_path: Path
) -> None:
    file = tmp_path / "alive"
    async with open_parser(http_alive_file=file):
        await until(file.exists)


async def test_a_file_is_touched_again_and_again_and_no_longer_than_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parser_service.alive.TOUCH_PERIOD_SECONDS", 0.01)
    file = tmp_path / "alive"
    async with touch_while_alive(file):
        for _ in range(2):
            await until(file.exists)
            file.unlink()
    await asyncio.sleep(0.05)
    assert not file.exists()


async def test_an_error_of_the_process_stops_the_touching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parser_service.alive.TOUCH_PERIOD_SECONDS", 0.01)
    file = tmp_path / "alive"
    with pytest.raises(LookupError):
        async with touch_while_alive(file):
            raise LookupError
    await asyncio.sleep(0.05)
    assert not file.exists()


async def test_without_a_file_nothing_is_touched() -> None:
    async with touch_while_alive(None):
        await asyncio.sleep(0)


async def test_a_file_that_cannot_be_made_is_made_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parser_service.alive.TOUCH_PERIOD_SECONDS", 0.01)
    folder = tmp_path / "full"
    async with touch_while_alive(folder / "alive"):
        await asyncio.sleep(0.05)
        folder.mkdir()
        await until((folder / "alive").exists)
