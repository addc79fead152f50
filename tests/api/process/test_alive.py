"""Alive files: a process that hangs stops touching its own."""

import asyncio
from pathlib import Path

import pytest

from api_service.process import alive
from api_service.process.alive import touch_alive_file, touch_while_alive
from tests.support.waiting import until


async def test_the_file_is_touched_again_and_again_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alive, "TOUCH_PERIOD_SECONDS", 0.01)
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
    monkeypatch.setattr(alive, "TOUCH_PERIOD_SECONDS", 0.01)
    file = tmp_path / "alive"
    with pytest.raises(LookupError):
        async with touch_while_alive(file):
            raise LookupError
    await asyncio.sleep(0.05)
    assert not file.exists()


async def test_without_a_file_nothing_is_touched() -> None:
    async with touch_while_alive(None):
        touch_alive_file(None)


async def test_a_file_that_cannot_be_made_is_made_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_service.process.alive.TOUCH_PERIOD_SECONDS", 0.01)
    folder = tmp_path / "full"
    async with touch_while_alive(folder / "alive"):
        await asyncio.sleep(0.05)
        folder.mkdir()
        await until((folder / "alive").exists)
